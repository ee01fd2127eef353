"""Subsonic's routes, as OpenSubsonic describes them, so that its players work with this server as they are.

Every route is there as GET and POST (its values in a form), with and without ``.view``. An error is a
``subsonic-response`` that says *failed*, with status 200; only what no route sees (too large, too often) has a status.

Shapes: opensubsonic.netlify.app, extensions ``apiKeyAuthentication``, ``formPost`` and ``sonicSimilarity``.
"""

from recommender.serving.subsonic import browsing, keeping, listening, sonic, system
from recommender.serving.subsonic.route import router

__all__ = ["browsing", "keeping", "listening", "router", "sonic", "system"]
