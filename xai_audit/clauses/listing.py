"""Packs and clauses as the command line lists them."""

from __future__ import annotations

from typing import Any

from xai_audit.clauses.packs import Pack, load_pack, pack_names


def pack_entries(domain: str | None) -> list[dict[str, Any]]:
    """Every pack, or those with a clause for a domain, in the order of their ids."""
    packs = [load_pack(name) for name in pack_names()]
    return [_pack(pack) for pack in packs if domain is None or pack.for_domain(domain)]


def _pack(pack: Pack) -> dict[str, Any]:
    detail = f"{pack.jurisdiction}; {pack.status.replace('_', ' ')}; {len(pack.clauses)} clauses; as of {pack.as_of}"
    return {
        "id": pack.id, "title": pack.title, "detail": detail, "jurisdiction": pack.jurisdiction,
        "status": pack.status, "as_of": pack.as_of.isoformat(), "clauses": len(pack.clauses),
        "domains": list(pack.applies_to), "sha256": pack.digest,
    }  # fmt: skip


def clause_entries(pack: Pack, domain: str | None) -> list[dict[str, Any]]:
    """Every clause of a pack, or those for a domain, in the order of the pack."""
    clauses = pack.clauses if domain is None else pack.for_domain(domain)
    return [
        {
            "id": clause.id, "title": clause.title, "detail": f"{clause.ref}; {clause.coverage}", "ref": clause.ref,
            "coverage": clause.coverage, "status": clause.status, "evidence": list(clause.evidence),
            "human_statement": clause.human_statement,
        }
        for clause in clauses
    ]  # fmt: skip
