"""Music servers of others: what they hold, what was played there, and playlists for them."""

from recommender.data.servers.jellyfin import Jellyfin
from recommender.data.servers.server import MusicServer, Song, connect
from recommender.data.servers.subsonic import Subsonic

__all__ = ["Jellyfin", "MusicServer", "Song", "Subsonic", "connect"]
