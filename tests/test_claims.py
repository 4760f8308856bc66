"""What documents of the node claim and its build does not do: all of it is accounted for."""

from __future__ import annotations

from collections import Counter

from handbook import facts
from handbook.pages import claims


def test_every_claim_leads_to_where_it_is_said_right() -> None:
    assert claims.check() == []
    counts = Counter(claim.subject for claim in claims.load())
    assert counts == {"treasury": 48, "energy": 22, "telemetry": 12, "durability": 11}
    assert len({claim.claim for claim in claims.load()}) == 93


def test_a_claim_that_leads_nowhere_is_found() -> None:
    lost = claims.Claim("treasury", "It flies.", "T", ("TB-001", "TB-999", "nowhere.md"), "snippets/claims.yml:7")
    assert list(map(str, claims.check([lost]))) == [
        f"snippets/claims.yml:7: see {name!r} is no entry, no retired name and no page"
        "\n  hint: ids are in deviations.yml"
        for name in ("TB-999", "nowhere.md")
    ]


def test_claims_lead_to_most_of_what_they_contradict() -> None:
    """A name that is retired because a document uses it is named by a claim, but for those of this plan."""
    named = {name for claim in claims.load() for name in claim.see}
    unnamed = {entry["name"] for entry in facts.load("retired.yml")} - named
    assert unnamed == {
        "POST /rpc",
        "TB_RPC_ENDPOINT",
        "amount_ct",
        "gov.treasury.list_disbursements",
        "localhost:9090/metrics",
        "port 26658",
        "systemctl restart energy-oracle",
        "the-block status",
        "{...} in a request",
    }
