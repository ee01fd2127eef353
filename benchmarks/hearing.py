"""How well a model hears real music, beside what is commonly used and what it must not be mistaken for.

Run from the repository::

    python benchmarks/hearing.py [FOLDER ...] [--model FILE] [--trained-on LIST] [--cache DIR] [--out FILE.csv]

FOLDER holds music as ``artist/album/file`` or with tags; the default is the folder ``music`` of FIRSTLISTEN_SHARED. Of
each file up to three clips of 10 s are heard, unchanged and changed (MP3 at 64 kbit/s in stereo, -6 dB, low-pass at
11 kHz, tempo +4 % and -4 %, one semitone up). Artists that the model was trained on are left out for all methods.
Figures are those of `recommender.evaluation.hearing.evaluate_vectors`, with 95 % intervals by drawing artists again.

The model's vectors are only centred; the baselines are z-scored or whitened on the very tracks they are measured on
(without labels), with the cosine or the Euclidean distance, whichever hears best. Ends with 1 if a limit is not held.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

import numpy as np
import pandas as pd

from recommender.audio.mel import MelConfig
from recommender.data.storage import load_arrays
from recommender.errors import FirstListenError
from recommender.evaluation.hearing import Hearing
from recommender.evaluation.hearing_baselines import CENTRED, Method, baselines, measure, mel_extract, through
from recommender.evaluation.hearing_tracks import hear_folders
from recommender.models.ears import load_ears
from recommender.models.trained_cnn import KIND as CNN_KIND
from recommender.models.trained_cnn import load_trained

BUNDLE = "MFCC + librosa bundle"
TRAINED_ON = "trained_on"
LEAST_MAP_RATIO = 1.4
LEAST_OVERLAP = {"overlap mp3 64k": 0.85, "overlap -6 dB": 0.85}
MOST_LEAK = {"codec leak AUC": 0.6, "gain leak AUC": 0.6}


def read_model(path: Path) -> tuple[Method, MelConfig, list[str]]:
    """Return a model as a method, what it hears, and the artists that its file says it was trained on.

    These are a list of names, in JSON, under `TRAINED_ON` in the metadata of either kind of file.
    """
    if path.suffix == ".onnx":
        ears = load_ears(path)
        mel, embed = ears.clip_config.mel, ears.embed
        artists = json.loads(ears.session.get_modelmeta().custom_metadata_map.get(f"firstlisten.{TRAINED_ON}", "[]"))
    else:
        from recommender.models.embed import load_cnn

        trained = load_trained(path)
        mel, embed = trained.config.cnn.mel, through(load_cnn(trained))
        artists = load_arrays(path, CNN_KIND, None)[1].get(TRAINED_ON, [])
    return Method(path.name, mel_extract(mel), embed, CENTRED), mel, artists


def failures(found: dict[str, Hearing], model: str) -> list[str]:
    """Return a sentence for each limit that the model does not hold."""
    own, rest = found[model], {name: hearing for name, hearing in found.items() if name != model}
    best = max(rest, key=lambda name: rest[name]["sibling MRR"])
    failed = []
    if not own["sibling MRR"] >= rest[best]["sibling MRR"]:
        failed.append(f"sibling MRR is {own['sibling MRR']:.3f}, expected {rest[best]['sibling MRR']:.3f} ({best})")
    least = LEAST_MAP_RATIO * rest[BUNDLE]["artist mAP"]
    if not own["artist mAP"] >= least:
        failed.append(
            f"artist mAP is {own['artist mAP']:.3f}, expected {least:.3f}, {LEAST_MAP_RATIO} times {BUNDLE}'s"
        )
    failed += [
        f"{name} is {own[name]:.3f}, expected {limit} or more"
        for name, limit in LEAST_OVERLAP.items()
        if not own[name] >= limit
    ]
    failed += [
        f"{name} is {own[name]:.3f}, expected {limit} or less" for name, limit in MOST_LEAK.items() if own[name] > limit
    ]
    return failed


def print_table(found: dict[str, Hearing]) -> pd.DataFrame:
    """Print the methods side by side, figure by figure; return the table."""
    rows = [
        {
            "figure": name,
            "method": method,
            "value": hearing[name],
            "low": low,
            "high": high,
            "tracks": hearing.count(name),
        }
        for method, hearing in found.items()
        for name in hearing.names
        for low, high in [hearing.interval(name)]
    ]
    names = next(iter(found.values())).names
    for name in names:
        print(f"\n{name} ({next(iter(found.values())).count(name)} tracks)")
        for method, hearing in found.items():
            low, high = hearing.interval(name)
            bounds = "" if np.isnan(low) else f"  [{low:.3f}, {high:.3f}]"
            print(f"  {method:34}{hearing[name]:8.3f}{bounds}")
    return pd.DataFrame(rows)


def print_differences(found: dict[str, Hearing], model: str) -> None:
    """Print the model beside the best baseline of each figure, where more is better."""
    print("\nThe model less the best baseline of each figure")
    rest = [name for name in found if name != model]
    for name in ("sibling MRR", "sibling recall@1", "artist mAP", "artist mAP, other albums"):
        best = max(rest, key=lambda method: np.nan_to_num(found[method][name], nan=-1.0))
        difference, low, high = found[model].difference(found[best], name)
        print(f"  {name:28}{difference:+8.3f}  [{low:+.3f}, {high:+.3f}]  {best}")
    ratio = found[model]["artist mAP"] / found[BUNDLE]["artist mAP"]
    print(f"  artist mAP is {ratio:.2f} times that of {BUNDLE}")


def report(done: int, total: int) -> None:
    """Print a line now and then."""
    if done and (done % 50 == 0 or done == total):
        print(f"heard {done} of {total} tracks", file=sys.stderr, flush=True)


def main() -> int:
    """Print the figures; return 1 if the model does not hold a limit."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="*", type=Path, metavar="FOLDER", help="music; default: the shared folder's")
    parser.add_argument("--model", type=Path, help="a .safetensors file of this program, or an .onnx file")
    parser.add_argument("--trained-on", type=Path, metavar="LIST", help="artists that the model has heard, one a line")
    parser.add_argument("--cache", type=Path, metavar="DIR", help="keeps what is computed of the files")
    parser.add_argument("--max-tracks", type=int, metavar="N")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, metavar="FILE.csv")
    options = parser.parse_args()
    shared = Path(os.environ.get("FIRSTLISTEN_SHARED", Path(__file__).parents[2] / "shared"))

    models, mel, trained_on = [], MelConfig(), list[str]()
    if options.model:
        model, mel, trained_on = read_model(options.model)
        models.append(model)
    if options.trained_on:
        trained_on += [line.strip() for line in options.trained_on.read_text(encoding="utf-8").splitlines()]
    methods = [*baselines(mel, options.seed), *models]
    heard = hear_folders(
        options.folders or [shared / "music"],
        list({method.extract.name: method.extract for method in methods}.values()),
        cache=options.cache,
        max_tracks=options.max_tracks,
        leave_out=frozenset(name.casefold() for name in trained_on if name),
        seed=options.seed,
        progress=report,
    )
    clips = heard.clips
    print(f"{len(clips.artists)} tracks of {len(set(clips.artists))} artists, {len(clips.clip_tracks)} clips")
    print(f"{len(heard.unusable)} files left out" + "".join(f"\n  {reason}" for reason in heard.unusable))
    found = {}
    print("\nMethods, and how their vectors are compared")
    for method in methods:
        found[method.name], placing = measure(method, heard, seed=options.seed)
        print(f"  {method.name:34}{placing}")
    table = print_table(found)
    if options.out:
        table.to_csv(options.out, index=False)
    if not models:
        return 0
    print_differences(found, models[0].name)
    failed = failures(found, models[0].name)
    print("\n" + ("\n".join(failed) or "All limits are held."))
    return 1 if failed else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except FirstListenError as error:
        sys.exit(str(error))
