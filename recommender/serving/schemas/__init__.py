"""What goes in and out of the API. Every answer names its bundle, every recommended track its source and evidence."""

from recommender.serving.schemas.base import MAX_IDS, MAX_LISTENS, MAX_TOP, Health, Identifier, ProblemDocument
from recommender.serving.schemas.feedback import (
    FeedbackAnswer,
    FeedbackIn,
    FeedbackItem,
    FeedbackPage,
    HeldBack,
    Verdict,
)
from recommender.serving.schemas.listens import ListenIn, ListenResult, ListensIn, ListensReport
from recommender.serving.schemas.model import ModelAnswer
from recommender.serving.schemas.recommendations import DIALS, AnonymousRequest, Recommendations, RecommendedTrack
from recommender.serving.schemas.tracks import (
    Evidence,
    SimilarItem,
    SimilarTracks,
    Track,
    TrackAnswer,
    TrackPage,
    TrackSignature,
    UploadAnswer,
)
from recommender.serving.schemas.users import Contribution, ExplanationAnswer, HeldBackBy, SoundsLike, User, UserPage

__all__ = [
    "DIALS",
    "MAX_IDS",
    "MAX_LISTENS",
    "MAX_TOP",
    "AnonymousRequest",
    "Contribution",
    "Evidence",
    "ExplanationAnswer",
    "FeedbackAnswer",
    "FeedbackIn",
    "FeedbackItem",
    "FeedbackPage",
    "Health",
    "HeldBack",
    "HeldBackBy",
    "Identifier",
    "ListenIn",
    "ListenResult",
    "ListensIn",
    "ListensReport",
    "ModelAnswer",
    "ProblemDocument",
    "Recommendations",
    "RecommendedTrack",
    "SimilarItem",
    "SimilarTracks",
    "SoundsLike",
    "Track",
    "TrackAnswer",
    "TrackPage",
    "TrackSignature",
    "UploadAnswer",
    "User",
    "UserPage",
    "Verdict",
]
