#!/usr/bin/env python3
"""Say what this machine lacks for `make audit` or `make test`, with the command that installs it.

    python3 scripts/check_system.py audit            look, and install what is missing if that needs no password
    python3 scripts/check_system.py test --no-install   look only

Exit code 0: everything needed is there. 1: something needed is missing. Only the standard library, and no syntax newer
than Python 3.6: this file must be able to tell an old Python that it is old.
"""

import argparse
import ctypes
import ctypes.util
import importlib.util
import os
import shutil
import subprocess
import sys
from collections import namedtuple
from pathlib import Path

OLDEST_PYTHON = (3, 11)
DISK_GIB = 10
CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")

Need = namedtuple("Need", "what why is_there package is_required")


def has_library(name, soname):
    """Whether the dynamic linker finds a shared library."""
    try:
        ctypes.CDLL(soname)
    except OSError:
        return ctypes.util.find_library(name) is not None
    return True


def has_font(pattern):
    """Whether fontconfig lists a font for a pattern such as `:lang=zh-cn`."""
    if shutil.which("fc-list") is None:
        return False
    return bool(subprocess.run(["fc-list", pattern], stdout=subprocess.PIPE, check=False).stdout.strip())


def has_module(name):
    """Whether this Python can import a module."""
    return importlib.util.find_spec(name) is not None


def chromium_package():
    """Ubuntu calls the package of Chromium otherwise than Debian does."""
    release = Path("/etc/os-release")
    is_ubuntu = release.exists() and "ID=ubuntu" in release.read_text(encoding="utf-8").split("\n")
    return "chromium-browser" if is_ubuntu else "chromium"


def has_program(*names):
    """Whether one of these programs is on the search path."""
    return any(shutil.which(name) for name in names)


def needs_of_audit():
    """What installing and running an audit wants of the system."""
    venv_package = "python{}.{}-venv".format(*sys.version_info[:2])
    layout = "lays out the PDF report"
    return [
        Need("module ensurepip", "makes the virtual environment", has_module("ensurepip"), venv_package, True),
        Need("library pango", layout, has_library("pango-1.0", "libpango-1.0.so.0"), "libpango-1.0-0", True),
        Need(
            "library pangoft2", layout, has_library("pangoft2-1.0", "libpangoft2-1.0.so.0"), "libpangoft2-1.0-0", True
        ),
        Need("library harfbuzz", layout, has_library("harfbuzz", "libharfbuzz.so.0"), "libharfbuzz0b", True),
        Need(
            "library harfbuzz-subset",
            layout,
            has_library("harfbuzz-subset", "libharfbuzz-subset.so.0"),
            "libharfbuzz-subset0",
            True,
        ),
        Need("library fontconfig", layout, has_library("fontconfig", "libfontconfig.so.1"), "libfontconfig1", True),
        Need("program fc-list", "finds fonts", has_program("fc-list"), "fontconfig", True),
        Need("font with Latin letters", "text of reports", has_font(":lang=en"), "fonts-dejavu-core", True),
        Need("font Liberation Sans", "the look of reports", has_font("Liberation Sans"), "fonts-liberation", True),
        Need("font with Chinese characters", "reports in zh-CN", has_font(":lang=zh-cn"), "fonts-noto-cjk", False),
    ]


def needs_of_test():
    """What the tests want beyond that."""
    return [
        Need("font with Chinese characters", "tests of reports", has_font(":lang=zh-cn"), "fonts-noto-cjk", True),
        Need("program git", "lists the tracked files", has_program("git"), "git", True),
        Need("program pdftoppm", "PDF pages as pictures", has_program("pdftoppm"), "poppler-utils", True),
        Need("program qpdf", "structure of the PDF", has_program("qpdf"), "qpdf", True),
        Need("Chromium", "accessibility of the HTML", has_program(*CHROMIUM_NAMES), chromium_package(), True),
    ]


NEEDS = {"audit": needs_of_audit, "test": needs_of_test}


def say(text):
    """Print at once, so that lines keep their order among those of apt-get."""
    print(text, flush=True)


def check_python():
    """Whether this Python is new enough; nothing installs another one unasked."""
    version = "{}.{}.{}".format(*sys.version_info[:3])
    if sys.version_info[:2] >= OLDEST_PYTHON:
        say(f"  ok       Python {version}")
        return True
    say(f"  MISSING  Python 3.11 or newer: {sys.executable} is Python {version}")
    say("           Install one:  sudo apt-get install python3.11 python3.11-venv")
    say("           Then name it:  make audit PYTHON=python3.11")
    return False


def warn_of_full_disk():
    """A fresh environment is large, above all because of torch."""
    root = Path(__file__).resolve().parent.parent
    free = shutil.disk_usage(str(root)).free / 2**30
    if free < DISK_GIB and not (root / ".venv" / ".stamp-audit").exists():
        say(f"  note     {free:.1f} GiB of disk are free; with a GPU build of torch {DISK_GIB} are needed")


def print_need(need):
    """One line: there, missing or optional, and the command that installs it."""
    if need.is_there:
        say(f"  ok       {need.what} ({need.why})")
    else:
        mark = "MISSING " if need.is_required else "optional"
        say(f"  {mark} {need.what} ({need.why}):  sudo apt-get install {need.package}")


def apt_prefix():
    """How apt-get can be called without a password: `[]` as root, `["sudo", "-n"]`, or None if it cannot."""
    if shutil.which("apt-get") is None:
        return None
    if os.geteuid() == 0:
        return []
    if (
        shutil.which("sudo")
        and subprocess.run(["sudo", "-n", "true"], stderr=subprocess.DEVNULL, check=False).returncode == 0
    ):
        return ["sudo", "-n"]
    return None


def apt_install(prefix, packages):
    """Install packages, printing each command before it runs. What it achieved is found by looking again."""
    apt = [*prefix, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-q"]
    # An unreachable package list is no reason to stop: the list from last time may do.
    for command in ([*apt, "update"], [*apt, "install", "-y", "--no-install-recommends", *packages]):
        say("  $ " + " ".join(command))
        subprocess.run(command, stdin=subprocess.DEVNULL, check=False)


def main():
    """Look, install where that needs no password, look again."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("purpose", choices=["audit", "test"])
    parser.add_argument("--no-install", action="store_true", help="look only")
    options = parser.parse_args()

    say(f"What `make {options.purpose}` needs of the system:")
    is_python_new = check_python()
    warn_of_full_disk()
    needs = NEEDS[options.purpose]()
    for need in needs:
        print_need(need)
    missing = [need for need in needs if need.is_required and not need.is_there]
    prefix = None if options.no_install else apt_prefix()
    if missing and prefix is not None:
        packages = sorted({need.package for need in missing})
        say("Installing {}: apt-get needs no password here. (APT=no forbids it.)".format(", ".join(packages)))
        apt_install(prefix, packages)
        missing = [need for need in NEEDS[options.purpose]() if need.is_required and not need.is_there]
        for need in missing:
            print_need(need)
    if missing:
        say("Install what is missing, then call make again:")
        say("  sudo apt-get install " + " ".join(sorted({need.package for need in missing})))
        if shutil.which("apt-get") is None:
            say("There is no apt-get here. Those are the names in Debian; other systems have the same libraries.")
    return 0 if is_python_new and not missing else 1


if __name__ == "__main__":
    sys.exit(main())
