"""What the measurements of a preflight mean: one check each, and what is broken where a batch cannot be learnt."""

from __future__ import annotations

import math

import numpy as np

from recommender.data.checks import Check, Verdict, named
from recommender.models.cnn_config import TrainCnnConfig
from recommender.models.preflight import FIRST_STEPS, LEARNT, Alikeness, NetworkReport, Overfit
from recommender.models.rate_sweep import RateSweep

NO_MOVE, WILD_MOVE = 1e-5, 0.3
"""Least and most that a step should change a layer, as a share of its weights."""

VANISHED, EXPLODED = 1e-7, 1e3
SURELY = 4.0
"""Standard deviations above chance that count as more than chance."""


def judge_network(report: NetworkReport, config: TrainCnnConfig) -> list[Check]:
    """Judge everything that `try_network` measured."""
    overfit = report.overfit
    checks = [
        _start(overfit),
        _learnt("one batch by heart: siblings", overfit.contrast, LEARNT * overfit.chance, overfit, config)
        if config.contrastive_weight > 0
        else None,
        _learnt("one batch by heart: taste", overfit.align, _align_goal(overfit), overfit, config)
        if np.isfinite(overfit.align).any()
        else None,
        _input(overfit),
        _trainable(overfit),
        _dead(overfit),
        _gradients(overfit),
        _updates(overfit, config),
        _rate(report.sweep, config),
        _siblings(report.siblings),
        _plays(report.plays) if report.plays is not None else None,
    ]
    return [check for check in checks if check is not None]


def why_not(overfit: Overfit, config: TrainCnnConfig) -> str:
    """Say what keeps a network from learning a batch by heart, the first cause that fits."""
    if overfit.n_frozen == overfit.n_weights:
        return "every parameter is frozen (requires_grad is false)"
    if not (np.isfinite(overfit.contrast).all() and np.isfinite(overfit.gradients).all()):
        return f"numbers left the finite range: learning_rate {config.learning_rate:g} is too high, or an input is NaN"
    if overfit.input_spread < 0.1:
        return "all inputs are equal: look at how clips are read and cut"
    if any(share > 0.95 for share in overfit.dead.values()) or overfit.spread < 1e-4:
        return "the network answers the same to every input: dead units, or the embedding has collapsed"
    if overfit.updates.size and np.median(overfit.updates) < NO_MOVE:
        return f"the weights do not move: learning_rate {config.learning_rate:g} is too low"
    if overfit.updates.size and np.median(overfit.updates) > WILD_MOVE:
        return f"the weights jump about: learning_rate {config.learning_rate:g} is too high"
    if overfit.n_frozen:
        return f"{overfit.n_frozen / overfit.n_weights:.0%} of the parameters are frozen"
    return "the loss falls too slowly or the network is too small: raise learning_rate or the network's width"


def _start(overfit: Overfit) -> Check:
    start, chance = float(overfit.contrast[0]), overfit.chance
    verdict: Verdict = "ok" if 0.05 * chance < start < 2 * chance else "warning"
    return Check(
        "loss before training",
        "broken" if not math.isfinite(start) else verdict,
        f"{start:.2f}",
        f"near or below that of guessing, ln(2N - 1) = {chance:.2f}",
        "" if verdict == "ok" else "raise the temperature, or look at the network's first weights",
    )


def _learnt(name: str, curve: np.ndarray, goal: float, overfit: Overfit, config: TrainCnnConfig) -> Check:
    last = float(np.mean(curve[-3:]))
    start = float(curve[0])
    fell = (start - last) / max(abs(start), 1e-9)
    done = last <= goal
    verdict: Verdict = "ok" if done else "warning" if fell > 0.4 else "broken"
    flat = "; flat" if not done and abs(fell) < 0.02 else ""
    return Check(
        name,
        verdict,
        f"{start:.2f} -> {last:.3f} in {len(curve)} steps{flat}",
        f"{goal:.2f} or less",
        "" if done else why_not(overfit, config),
    )


def _align_goal(overfit: Overfit) -> float:
    """Return the loss at which seven tenths of the way to telling the factors themselves are done."""
    return overfit.align_floor + 3 * LEARNT * max(float(overfit.align[0]) - overfit.align_floor, 0.0)


def _input(overfit: Overfit) -> Check:
    last = float(np.mean(overfit.contrast[-3:]))
    listens = overfit.without_input > last + 0.2 * overfit.chance
    return Check(
        "the loss depends on the input",
        "ok" if listens else "broken",
        f"{last:.2f}, with silence for every input {overfit.without_input:.2f}",
        f"much worse without input, near {overfit.chance:.2f}",
        "" if listens else "the network does not use what it is given: look at how the batch is built",
    )


def _trainable(overfit: Overfit) -> Check:
    share = overfit.n_frozen / max(overfit.n_weights, 1)
    unreached = [name for name in overfit.silent_layers if not name.endswith("bias")]
    verdict: Verdict = "broken" if share == 1 else "warning" if share > 0 or unreached else "ok"
    advice = ""
    if share:
        advice = "set requires_grad where the network is to learn"
    elif unreached:
        advice = "no gradient reaches them: are they part of the answer?"
    found = f"{overfit.n_weights} parameters, {share:.0%} frozen"
    if unreached:
        found += f", no gradient for {named(unreached)}"
    return Check("what can learn", verdict, found, "none frozen, a gradient for all", advice)


def _dead(overfit: Overfit) -> Check:
    name, worst = max(overfit.dead.items(), key=lambda item: item[1], default=("no activations", 0.0))
    verdict: Verdict = "broken" if worst > 0.5 or overfit.spread < 1e-4 else "warning" if worst > 0.1 else "ok"
    return Check(
        "dead units",
        verdict,
        f"{worst:.0%} at most ({name}); embeddings differ by {overfit.spread:.2f}",
        "10 % at most in any layer; embeddings that differ",
        "" if verdict == "ok" else "lower the learning rate, look at biases and first weights",
    )


def _gradients(overfit: Overfit) -> Check:
    name = "gradients"
    expected = f"each layer's between {VANISHED:g} and {EXPLODED:g} of its weights, within 10,000 times of another's"
    if not overfit.gradients.size:
        return Check(name, "broken", "none", expected, "nothing can be trained")
    early = np.median(overfit.gradients[:FIRST_STEPS], axis=0)
    low, high = int(np.argmin(early)), int(np.argmax(early))
    found = f"{early[low]:.1e} ({overfit.layers[low]}) to {early[high]:.1e} ({overfit.layers[high]})"
    if not np.isfinite(overfit.gradients).all() or early[high] > EXPLODED:
        return Check(name, "broken", found, expected, "exploding: normalise the layers or lower the learning rate")
    if early[low] < VANISHED:
        return Check(name, "broken", found, expected, f"vanishing: nothing reaches {overfit.layers[low]}")
    if early[high] > 1e4 * early[low]:
        return Check(name, "warning", found, expected, f"nearly vanishing on the way to {overfit.layers[low]}")
    return Check(name, "ok", found, expected)


def _updates(overfit: Overfit, config: TrainCnnConfig) -> Check:
    name = "a step against the weights"
    expected = f"{NO_MOVE:g} to {WILD_MOVE:g} in each layer, best near 0.001 to 0.01"
    if not overfit.updates.size:
        return Check(name, "broken", "no step was made", expected, "nothing can be trained")
    typical = np.median(overfit.updates, axis=0)
    low, high = int(np.argmin(typical)), int(np.argmax(typical))
    found = f"{typical[low]:.1e} ({overfit.layers[low]}) to {typical[high]:.1e} ({overfit.layers[high]})"
    if typical[high] < NO_MOVE:
        return Check(name, "broken", found, expected, f"raise learning_rate {config.learning_rate:g}")
    if typical[low] < NO_MOVE:
        return Check(name, "warning", found, expected, f"{overfit.layers[low]} hardly moves")
    if typical[high] > WILD_MOVE:
        return Check(name, "warning", found, expected, f"lower learning_rate {config.learning_rate:g}")
    return Check(name, "ok", found, expected)


def _rate(sweep: RateSweep, config: TrainCnnConfig) -> Check:
    name, rate = "learning rate", config.learning_rate
    if not math.isfinite(sweep.recommended):
        return Check(
            name,
            "broken",
            f"the loss falls at no rate from {sweep.rates[0]:.0e} to {sweep.rates[-1]:.0e}",
            "a rate at which it falls",
            "look at the other checks first: a flat loss is seldom the rate's fault",
        )
    limit = "" if math.isinf(sweep.too_high) else f", comes back from {sweep.too_high:.1e} on"
    found = f"{rate:g}; recommended {sweep.recommended:.1e}{limit}"
    far = max(rate / sweep.recommended, sweep.recommended / rate)
    verdict: Verdict = "broken" if rate >= sweep.too_high else "warning" if far > 10 else "ok"
    advice = "" if verdict == "ok" else f"set [train_cnn] learning_rate = {sweep.recommended:.0e}"
    return Check(name, verdict, found, "within 10 times of the recommended", advice)


def _siblings(alike: Alikeness) -> Check:
    sure = alike.sigmas > SURELY
    return Check(
        "clips belong to their tracks",
        "ok" if sure else "broken",
        f"MRR {alike.value:.3f} before training, {alike.chance:.3f} with the labels shuffled",
        "above the shuffled: two ends of a track are alike to any ears",
        "" if sure else "the labels look shuffled: is each clip filed under its own track?",
    )


def _plays(alike: Alikeness) -> Check:
    sure = alike.sigmas > 3.0
    return Check(
        "plays belong to their tracks",
        "ok" if sure else "warning",
        f"cosine {alike.value:.3f} between the factors of tracks that sound alike, {alike.chance:.3f} if shuffled",
        "above the shuffled",
        "" if sure else "sound tells nothing of the plays: do the ids of plays and files name the same tracks?",
    )
