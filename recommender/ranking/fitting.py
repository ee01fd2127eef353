"""Fit a hybrid model: choose the blend on an inner split, then fit everything on all plays with what was chosen."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

import numpy as np

from recommender.data.catalog import Catalog
from recommender.data.embeddings import Embeddings
from recommender.data.interactions import Interactions
from recommender.data.progress import Progress, silent
from recommender.errors import DataError
from recommender.models.als import AlsConfig, fit_als, play_confidence
from recommender.models.cold_start import PosteriorConfig, fit_prior_and_left_out
from recommender.models.factors import Factors
from recommender.models.neighbours import fit_neighbours
from recommender.models.smoothing import smooth_track_factors
from recommender.ranking.als_search import search_als
from recommender.ranking.learned import Learned
from recommender.ranking.model import Blend, HybridModel, RankerConfig, known_artists
from recommender.ranking.ranker_choice import choose_ranker
from recommender.ranking.scoring import measure_standards
from recommender.ranking.search import choose_blend, choose_posterior, set_trial, solve_posterior
from recommender.ranking.sound import place_sound
from recommender.ranking.validation import ValidationSplit, narrow, validation_split

MIN_PRIOR_TRACKS = 10
"""With fewer tracks that have both plays and an embedding, no prior is fitted."""


def fit_hybrid(
    catalog: Catalog,
    interactions: Interactions,
    embeddings: Embeddings | None = None,
    config: RankerConfig | None = None,
    *,
    split: ValidationSplit | None = None,
    split_embeddings: Embeddings | None = None,
    progress: Progress | None = None,
) -> HybridModel:
    """Search for the strength of ALS, and fit it, the prior, the posterior and the blend.

    Parameters
    ----------
    catalog : Catalog
    interactions : Interactions
        Over the catalog's tracks. Without plays the model goes by sound alone.
    embeddings : Embeddings, optional
        Without them the model goes by plays alone.
    config : RankerConfig, optional
    split : ValidationSplit, optional
        Of `interactions`, made by `validation_split`; needed where a network was trained on plays, so that it and the
        blend learn from the same part. Made here if None.
    split_embeddings : Embeddings, optional
        By a network that has seen only the plays in ``split.train``, to choose the blend with. `embeddings` if None.
    progress : Progress, optional
        Called with (done, total) ALS iterations of both fits.

    Returns
    -------
    HybridModel

    Raises
    ------
    DataError
        If the interactions are not over the catalog's tracks.
    """
    config = config or RankerConfig()
    report = progress or silent
    if interactions.tracks != catalog.tracks:
        raise DataError("the interactions have other tracks than the catalog; build them with the catalog's vocabulary")
    if interactions.to_csr().nnz == 0:
        return assemble(catalog, interactions, embeddings, _no_factors(interactions), config)
    total = 2 * config.als.iterations
    if split is None:
        has_vector = embeddings.tracks.known(catalog.tracks) if embeddings else np.zeros(len(catalog), dtype=bool)
        split = validation_split(interactions, has_vector, config.seed, config.cold_share, config.held_out_share)
    blend, posterior, found = Blend(), config.posterior, _nothing_to_validate()
    als, found_als = config.als, None
    learned: Learned | None = None
    if split.train.to_csr().nnz and len(split.held_out):
        inner_embeddings = split_embeddings if split_embeddings is not None else embeddings
        # a track without plays and without sound can be in nobody's list: the search does without
        known = interactions.track_evidence() > 0
        if inner_embeddings is not None:
            known |= inner_embeddings.tracks.known(catalog.tracks)
        inner_catalog = catalog.select(np.flatnonzero(known))
        split = narrow(split, inner_catalog.tracks)
        if config.search_als:
            als, found_als = search_als(split, config)
        inner_factors = fit_als(split.train, als, lambda done, _: report(done, total))
        inner = assemble(inner_catalog, split.train, inner_embeddings, inner_factors, config)
        posterior, found_posterior = choose_posterior(set_trial(inner, split, config))
        if inner.prior is not None:
            inner = with_posterior(inner, posterior)
        blend, found = choose_blend(set_trial(inner, split, config))
        blend, learned, found_ranker = choose_ranker(replace(inner, blend=blend), split, config)
        found |= {"posterior": found_posterior, "als": found_als, "ranker": found_ranker}
    report(config.als.iterations, total)
    factors = fit_als(interactions, als, lambda done, _: report(config.als.iterations + done, total))
    model = assemble(catalog, interactions, embeddings, factors, replace(config, posterior=posterior), blend)
    if model.prior is not None:
        found |= {"artist": {"share": model.prior.artist_share}}
    return replace(model, config=config, validation=found, learned=learned)


def assemble(
    catalog: Catalog,
    interactions: Interactions,
    embeddings: Embeddings | None,
    factors: Factors,
    config: RankerConfig,
    blend: Blend | None = None,
) -> HybridModel:
    """Put a model together from fitted factors: prior, posterior and standards follow from them."""
    evidence = interactions.track_evidence().astype(np.float32)
    confidence = play_confidence(interactions.to_csr(), factors.config.play_emphasis)
    prior, means = None, np.zeros((len(catalog), factors.dim), dtype=np.float32)
    sound = place_sound(embeddings, catalog.tracks) if embeddings is not None else None
    has_vector = sound.has_vector if sound is not None else np.zeros(len(catalog), dtype=bool)
    if embeddings is not None and (has_vector & (evidence > 0)).sum() >= MIN_PRIOR_TRACKS:
        raw, _ = embeddings.of(catalog.tracks)
        # tracks with plays get the prediction of a fit without them: their plays count once, in the posterior
        prior, means[has_vector] = fit_prior_and_left_out(
            raw[has_vector],
            smooth_track_factors(confidence, factors.user_factors, factors.config)[has_vector],
            evidence[has_vector],
            config.prior,
            known_artists(catalog)[has_vector],
        )
    model = HybridModel(
        catalog=catalog,
        users=interactions.users,
        plays=interactions.to_csr(),
        heard=interactions.heard(),
        evidence=evidence,
        factors=factors,
        neighbours=fit_neighbours(confidence, config.neighbours),
        posterior_factors=factors.track_factors,
        prior=prior,
        prior_means=means,
        sound=sound,
        posterior=config.posterior,
        blend=blend or Blend(),
        standards=measure_standards(
            factors,
            factors.track_factors,
            evidence,
            means,
            sound.vectors if sound is not None else np.zeros((len(catalog), 0), dtype=np.float32),
            has_vector,
        ),
        config=config,
        validation=_nothing_to_validate(),
    )
    return with_posterior(model, config.posterior) if prior is not None else model


def with_posterior(model: HybridModel, posterior: PosteriorConfig) -> HybridModel:
    """Solve the posterior factors of all tracks with another config, and measure the standards again."""
    solved = solve_posterior(model, posterior)
    standards = measure_standards(
        model.factors,
        solved,
        model.evidence,
        model.prior_means,
        model.sound_vectors,
        model.has_vector,
    )
    return replace(model, posterior_factors=solved, posterior=posterior, standards=standards)


def _no_factors(interactions: Interactions) -> Factors:
    users = np.zeros((len(interactions.users), 1), dtype=np.float32)
    tracks = np.zeros((len(interactions.tracks), 1), dtype=np.float32)
    return Factors(interactions.users, interactions.tracks, users, tracks, AlsConfig(factors=1))


def _nothing_to_validate() -> dict[str, Any]:
    return {"rule given up": "too few plays to hide some of them; the blend is the default", "blend": asdict(Blend())}
