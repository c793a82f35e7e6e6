"""Requirement mapping, both ways: how each clause of the named packs stands, and evidence that no clause asks for."""

from __future__ import annotations

from dataclasses import dataclass

from xai_audit.clauses.packs import Pack, load_pack
from xai_audit.spec.schema import AuditSpec
from xai_audit.verdict.evidence_kinds import Parts, present_kinds
from xai_audit.verdict.people import Attached, People, action_of, read_people, statement_of
from xai_audit.verdict.requirements import Standing, standing_of, without_clause


@dataclass(frozen=True)
class Mapping:
    """The matrix of clauses and evidence."""

    packs: tuple[Pack, ...]
    """In the order in which the spec names them."""
    standings: tuple[Standing, ...]
    """Every clause of the packs that applies to the domain, pack by pack."""
    present: dict[str, tuple[str, ...]]
    """Records and files by kind of evidence; empty where the run gives none."""
    without: dict[str, tuple[str, ...]]
    """Of these, kinds that no clause asks for."""

    def of_pack(self, pack: Pack) -> tuple[Standing, ...]:
        """The clauses of one pack."""
        ids = {clause.id for clause in pack.clauses}
        return tuple(one for one in self.standings if one.clause.id in ids)

    @property
    def pending(self) -> tuple[Standing, ...]:
        """Clauses for which a person has still to answer: tick boxes that are empty."""
        return tuple(one for one in self.standings if one.is_pending)


def mapping_of(parts: Parts) -> Mapping:
    """How the clauses of the packs that a spec names stand. Packs without a clause for the domain stay, empty."""
    packs = tuple(load_pack(name) for name in parts.spec.audit.frameworks)
    present = present_kinds(parts)
    linked = {criterion.id: criterion.clauses for criterion in parts.spec.criteria}
    standings = tuple(
        standing_of(clause, present, parts.findings, linked, parts.people.about(clause.id))
        for pack in packs
        for clause in pack.for_domain(parts.spec.audit.domain)
    )
    return Mapping(packs, standings, present, without_clause(present, standings))


def people_of(spec: AuditSpec, stored: bytes) -> People:
    """What people said, as kept in the run folder; of a folder that keeps nothing, what its spec holds itself."""
    if stored:
        return read_people(stored)
    declared = () if isinstance(spec.statements, str) else spec.statements
    said = []
    for entry in declared:
        file = entry.attachment
        known = None if file is None or file.sha256 is None else Attached(file.file.rsplit("/", 1)[-1], file.sha256)
        said.append(statement_of(entry, known))
    return People().with_more(said, [action_of(entry) for entry in spec.actions])
