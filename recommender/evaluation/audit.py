"""The verdicts of a shortcut audit: whether the model hears the music, or how the files were made.

After "Unmasking Clever Hans predictors" (Lapuschkin et al., 2019) and, for music, Sturm's "horse" (2014): a system that
is right for reasons that have nothing to do with music. Pampalk (2005) and Flexer (2007) are why artists and albums are
looked at apart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from recommender.data.checks import Check, Verdict, named
from recommender.evaluation.association import LEVEL, Separation
from recommender.evaluation.audit_hearing import MUSICAL, PASSING, Heard
from recommender.evaluation.audit_retrieval import Neighbourhood, Retrieval, Worth

MOST_LEAK = 0.6
CLEAR_LEAK = 0.75

FEW_COLD = 20
"""With fewer hidden tracks, how new tracks are found is told and not judged: one lucky track decides."""

CAUSES = {
    "codec": "MP3 64k",
    "cut-off": "low-pass 11 kHz",
    "rate": "low-pass 11 kHz",
    "tone": "tone",
    "level": "gain -6 dB",
}
"""The intervention that tells whether a kind of tell-tale reaches the network."""


def judge_tell_tales(
    found: Sequence[Separation],
    kinds: Mapping[str, str],
    heard: Mapping[str, Heard],
    n_files: int,
) -> list[Check]:
    """Judge each class of tracks: which tell-tales separate it, and whether the network can hear them.

    Parameters
    ----------
    found : sequence of Separation
    kinds : mapping of feature name to kind
    heard : mapping of version to Heard
        Empty where there is no network or no file could be changed.
    n_files : int
    """
    checks = []
    for label in dict.fromkeys(one.label for one in found):
        rows = [one for one in found if one.label == label]
        bad = [one for one in rows if one.is_found]
        name = f"data: {label.rstrip('*')}"
        expected = f"no tell-tale separates them (p > {LEVEL:g} after {len(rows)} tell-tales, all classes)"
        if not bad:
            best = rows[0]
            shown = f"best {best.feature}: {_strength(best)}, p {best.p:.2g}, {n_files} files"
            checks.append(Check(name, "ok", shown, expected))
            continue
        shown = "; ".join(f"{one.feature}: {_strength(one)}, p {one.p:.2g}" for one in bad[:3])
        more = f" and {len(bad) - 3} more" if len(bad) > 3 else ""
        reached, said = _reaches({kinds[one.feature] for one in bad}, heard)
        verdict: Verdict = "found" if reached or not label.endswith("*") else "warning"
        if all(kinds[one.feature] == "level" for one in bad) and not reached:
            verdict = "warning"
        advice = f"planted in the data; {said}. " + (
            "Encode all files alike and train again" if reached else "Beware of a network that hears more"
        )
        checks.append(Check(name, verdict, shown + more, expected, advice))
    return checks


def judge_hearing(heard: Mapping[str, Heard], n_tracks: int) -> list[Check]:
    """Judge what the network hears of changes: the probes, and the nearest that stay."""
    checks = []
    for version, title in (("gain -6 dB", "gain"), ("MP3 64k", "codec")):
        if version not in heard:
            continue
        one = heard[version]
        verdict: Verdict = "ok"
        if one.is_heard and one.auc > MOST_LEAK:
            verdict = "found" if one.auc >= CLEAR_LEAK else "warning"
        checks.append(
            Check(
                f"the vectors tell {title}",
                verdict,
                f"AUC {one.auc:.2f} [{one.low:.2f}, {one.high:.2f}] for {version}, p {one.p:.2g}, {n_tracks} tracks",
                f"{MOST_LEAK} or less; 0.5 is nothing",
                "" if verdict == "ok" else f"train with more {title} changes in augmentation",
            )
        )
    for limits, is_passing in ((PASSING, True), (MUSICAL, False)):
        for version, least in limits.items():
            if version in heard:
                stay = heard[version].stay
                verdict = "ok" if stay >= least else "warning" if stay >= least - 0.25 or not is_passing else "found"
                checks.append(
                    Check(
                        f"nearest that stay: {version}",
                        verdict,
                        f"{stay:.2f}",
                        f"{least} or more of 10" + ("" if is_passing else " (it changes the music a little)"),
                        "" if verdict == "ok" else "train with this change in augmentation",
                    )
                )
    if "tone" in heard:
        one = heard["tone"]
        says = "heard" if one.is_heard else "not heard"
        found = f"AUC {one.auc:.2f} [{one.low:.2f}, {one.high:.2f}], {one.stay:.2f} of the nearest stay: {says}"
        checks.append(Check("a tone at 19 kHz", "warning" if one.is_heard else "ok", found, "not heard"))
    return checks


def judge_probes(probes: Mapping[str, tuple[float, float, float]]) -> list[Check]:
    """Say what of the files can be read out of the vectors; no alarm, as music goes with it too."""
    return [
        Check(
            f"readable in the vectors: {name}",
            "note" if low > MOST_LEAK else "ok",
            f"AUC {auc:.2f} [{low:.2f}, {high:.2f}]",
            "0.5, or more where the music itself differs",
        )
        for name, (auc, low, high) in probes.items()
        if auc == auc
    ]


def judge_retrieval(retrieval: Retrieval) -> list[Check]:
    """Judge what finds new tracks: music, or something lazier."""
    worth, chance = retrieval.worth, retrieval.worth["chance"]
    full, shuffled, filtered = worth["embedding"], worth["shuffled"], worth["other artists only"]
    known = "new to the network" if retrieval.untouched else "which the network was trained on"
    better = full.low > chance.high
    falls = shuffled.low <= chance.high
    checks = [
        Check(
            "new tracks by their sound",
            "ok" if better else "warning",
            f"NDCG@10 {_interval(full)}, {retrieval.n_cold} tracks {known}, {retrieval.n_users} users",
            f"above chance {_interval(chance)}",
            "" if better else "no gain over chance: train longer, or on more music",
        ),
        Check(
            "shuffled vectors fall to chance",
            "ok" if falls else "found",
            _interval(shuffled),
            f"chance, {_interval(chance)}",
            "" if falls else "the measure leaks: something else than the sound tells the answer",
        ),
    ]
    if "loudness and bandwidth" in worth and better:
        share = retrieval.share("loudness and bandwidth")
        verdict: Verdict = "ok" if share <= 0.5 else "warning" if share <= 0.8 else "found"
        verdict = "note" if verdict != "ok" and retrieval.n_cold < FEW_COLD else verdict
        checks.append(
            Check(
                "a lazy listener: loudness and bandwidth",
                verdict,
                f"{_interval(worth['loudness and bandwidth'])}, {share:.0%} of the gain over chance",
                "50 % or less",
                "" if verdict == "ok" else "what is liked goes with level or bandwidth: normalise the files",
            )
        )
    if better:
        share = retrieval.share("other artists only")
        held = share >= 0.5 or filtered.low > chance.high
        checks.append(
            Check(
                "without the artists themselves",
                "ok" if held else "warning" if retrieval.n_cold >= FEW_COLD else "note",
                f"{_interval(filtered)}, {share:.0%} of the gain over chance",
                "half of the gain, or surely above chance",
                "" if held else "it knows artists again rather than what they play: judge by splits of whole artists",
            )
        )
    return checks


def judge_neighbourhood(near: Neighbourhood) -> list[Check]:
    """Judge whether artists and hubs fill the nearest."""
    hubs: Verdict = "ok" if near.hub_skew <= 2.5 else "warning"
    return [
        Check(
            "same artist among the nearest",
            "note" if near.same_artist > 0.5 else "ok",
            f"{near.same_artist:.0%}, same album {near.same_album:.0%}; by chance {near.artist_by_chance:.0%}",
            "more than by chance, less than half",
        ),
        Check(
            "hubs",
            hubs,
            f"skewness {near.hub_skew:.2f}; one track is among the nearest of {near.hub_most}, "
            f"{near.orphans:.0%} of the tracks of none",
            "skewness of 2.5 or less",
            "" if hubs == "ok" else "a few tracks are everyone's neighbour: more dimensions, or mutual nearness",
        ),
    ]


def _reaches(kinds: set[str], heard: Mapping[str, Heard]) -> tuple[bool, str]:
    """Tell whether the network hears any of these kinds of tell-tales, and say so."""
    told = {kind: heard[CAUSES[kind]] for kind in sorted(kinds) if CAUSES.get(kind) in heard}
    if not heard:
        return True, "no network to ask whether it is heard"
    can = [f"{kind} (AUC {one.auc:.2f} for {CAUSES[kind]})" for kind, one in told.items() if one.is_heard]
    cannot = [f"{kind} (AUC {one.auc:.2f} for {CAUSES[kind]})" for kind, one in told.items() if not one.is_heard]
    if can:
        return True, f"the model hears {named(can)}"
    if cannot:
        return False, f"the model cannot hear it: {named(cannot)}"
    return False, "the model hears one channel at one rate, so not this"


def _strength(one: Separation) -> str:
    return f"explains {2 * (one.auc - 0.5):.0%}" if one.label.endswith("*") else f"AUC {one.auc:.2f}"


def _interval(worth: Worth) -> str:
    return f"{worth.mean:.3f} [{worth.low:.3f}, {worth.high:.3f}]"
