"""Proofs and digests for people: what holds is said once for all, what does not by name; digests are short.

Pure: no I/O, no clock.
"""

from collections.abc import Mapping

from aerodb.views.observed import Remark

SHORT_CHARACTERS = 12
"""How much of a digest is shown until the whole of it is asked for."""


def short(digest: str) -> str:
    """Return the head of a digest or an id, as it is shown where the whole is one step away."""
    return digest.removeprefix("sha256:")[:SHORT_CHARACTERS]


def proofs_remarks(faults: Mapping[int, str]) -> list[Remark]:
    """Return what the proofs of records are worth: once that all hold, or each that does not, by its number.

    `faults` says of each record what is wrong with its proof; nothing is said of no records.
    """
    bad = {sequence: fault for sequence, fault in faults.items() if fault}
    if not faults:
        return []
    if bad:
        head = f"{len(bad)} of {len(faults)} proofs do not hold:"
        return [("bad", head), *(("bad", f"record {sequence}: NOT PROVEN: {fault}") for sequence, fault in bad.items())]
    if len(faults) == 1:
        return [("good", "The proof holds: the record stands in the log that its key signed.")]
    return [("good", f"All {len(faults)} proofs hold: each record stands in the log that its key signed.")]
