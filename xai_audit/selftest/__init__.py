"""Known answers that the installed version must give: `xai-audit selftest`."""
