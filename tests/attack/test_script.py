"""The sequence of moves comes from the seed alone."""

from tests.attack.draws import Draws
from tests.attack.script import CAMPAIGNS, DAMAGE, FAULTS, HANDS, MODES, SHAPES, script_of, sequences_of

SEEDS = range(300)


def test_a_seed_is_a_round() -> None:
    """The same seed is the same script, in this version and in the next: a report's seed can be played again."""
    assert script_of(7) == script_of(7)
    assert script_of(7) != script_of(8)
    draws = Draws("a seed")
    assert [draws.below(1000) for _ in range(5)] == [962, 93, 386, 310, 456]


def test_everything_comes_up() -> None:
    """Every campaign, every fault, every hand and every shape is drawn by some seed."""
    scripts = [script_of(seed) for seed in SEEDS]
    beats = [beat for script in scripts for beat in script.beats]
    assert {script.shape for script in scripts} == {shape for shape, _ in SHAPES}
    assert {beat.campaign for beat in beats} == {name for name, _ in CAMPAIGNS}
    drawn = {fault.kind for beat in beats for fault in beat.faults}
    assert drawn == {name for name, _ in FAULTS} | {name for name, _ in HANDS}


def test_a_round_of_sequences_comes_from_its_seed() -> None:
    """Every kind of courier is met by some seed, and every switchover in it is signed ahead."""
    assert sequences_of(7) == sequences_of(7)
    beats = [beat for seed in SEEDS for beat in sequences_of(seed).beats if beat.campaign == "switchover"]
    assert {beat.mode for beat in beats} == set(MODES)
    assert all(beat.lots[2] % 2 for beat in beats)


def test_no_more_is_destroyed_than_a_cluster_is_made_to_survive() -> None:
    """At most one data folder is damaged in a round, and a host is lost for good only where no hand interferes."""
    for seed in SEEDS:
        script = script_of(seed)
        kinds = [fault.kind for beat in script.beats for fault in beat.faults]
        assert sum(kind in DAMAGE for kind in kinds) <= 1
        assert not (script.lost and set(kinds) & {name for name, _ in HANDS})
