"""Who asks, as Subsonic's players say it: an API key, or a user and a password, plain or hashed with a salt.

=====================  =============================================================================================
sent                   what is looked at
=====================  =============================================================================================
apiKey                 an API key; its user is who asks. What players should use that can
u, p (or enc:HEX)      an API key of u, or of nobody, as password; or the password that goes with a key of u
u, t, s                t is md5(password + s), of the password that goes with a key of u
=====================  =============================================================================================

A password that can be compared so has to be known here, so that it is none that a person chose: see
`recommender.serving.keys.player_password`. A key in a header is as good as an apiKey. Cookies are not looked at.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import replace

from fastapi import Request
from starlette.datastructures import ImmutableMultiDict

from recommender.serving.keys import Key, id_of, player_password
from recommender.serving.problems import Problem
from recommender.serving.rules import SUBSONIC_RULES
from recommender.serving.security import Caller, caller_of, network_of_scope
from recommender.serving.subsonic.envelope import (
    BAD_KEY,
    CONFLICT,
    FORBIDDEN,
    GENERIC,
    MISSING,
    NO_TOKENS,
    WRONG,
    SubsonicError,
)
from recommender.serving.verifying import Verifier

PERSON = re.compile(r"[^\x00-\x1f\x7f]{1,256}")
Asked = ImmutableMultiDict[str, str]


async def admit(request: Request, name: str, asked: Asked) -> tuple[Caller, str | None]:
    """Find out who asks, and whether they may.

    Parameters
    ----------
    request : Request
    name : str
        Of the route, without ``.view``.
    asked : multi-dict of str to str
        The values of its address and form.

    Returns
    -------
    caller : Caller
    person : str or None
        The user that is spoken of; of a route that speaks of one always somebody that the caller may speak of.

    Raises
    ------
    SubsonicError
        If they may not.
    Problem
        If too many requests came, or the store is away.
    """
    rule, verifier = SUBSONIC_RULES[name], request.app.state.verifier
    known = caller_of(request)
    try:
        caller, person = (known, None) if rule == "open" else await _identified(request, verifier, known, asked)
    except SubsonicError:
        _count(verifier, known, network_of_scope(request.scope))
        raise
    if known.key is None:
        who = network_of_scope(request.scope) if caller.key is None else f"key {caller.key.key_id}"
        _count(verifier, known, who)
    if person is not None and not PERSON.fullmatch(person):
        raise SubsonicError(GENERIC, f"u is {person[:50]!r}, expected 1 to 256 characters without control characters")
    if rule in ("personal", "listen") and person is None:
        raise SubsonicError(*_nobody(caller))
    try:
        caller.check(rule, person)
    except Problem as problem:
        raise SubsonicError(FORBIDDEN, problem.detail) from problem
    return caller, person


async def _identified(request: Request, verifier: Verifier, known: Caller, asked: Asked) -> tuple[Caller, str | None]:
    user, password, token, salt = (asked.get(name) for name in ("u", "p", "t", "s"))
    text, network = asked.get("apiKey"), network_of_scope(request.scope)
    if sum(each is not None for each in (text, password, token or salt)) > 1 or (text is not None and user is not None):
        raise SubsonicError(CONFLICT, "send apiKey alone, or u with p, or u with t and s")
    if text is not None:
        key, trouble = await verifier.verified(text, network)
        if key is None:
            raise SubsonicError(BAD_KEY, trouble)
        return (known if known.trusted else replace(known, key=key, trouble="")), key.user_id
    if known.trusted:
        if request.headers.get("sec-fetch-site") in ("cross-site", "same-site"):
            raise SubsonicError(FORBIDDEN, "another web site sent this request; a player there needs an apiKey")
        return known, user or None
    if known.key is not None:
        return known, known.key.user_id or user or None
    if not user or (password is None and not (token and salt)):
        raise SubsonicError(MISSING, "this takes an API key as apiKey, or u with p, or u with t and s")
    secret: str = request.app.state.context.settings.player_secret
    if password is not None:
        key = await _by_password(verifier, network, user, _plain(password), secret)
        user = None if key is not None and key.user_id is None and not Caller(key).speaks_of(user) else user
    elif not secret:
        raise SubsonicError(NO_TOKENS, "this server takes no tokens; send an API key as apiKey, or as the password p")
    else:
        key = await verifier.of_user(user, network, lambda key: _is_token(str(token), key, str(salt), secret))
    if key is None:
        raise SubsonicError(WRONG, "Wrong username or password.")
    return replace(known, key=key, trouble=""), user


async def _by_password(verifier: Verifier, network: str, user: str, password: str, secret: str) -> Key | None:
    if id_of(password) is not None:
        key, _ = await verifier.verified(password, network)
        return key if key is not None and key.user_id in (None, user) else None
    if not secret:
        raise SubsonicError(WRONG, "this server takes an API key as password")
    given = password.encode()
    return await verifier.of_user(
        user, network, lambda key: hmac.compare_digest(player_password(key, secret).encode(), given)
    )


def _is_token(token: str, key: Key, salt: str, secret: str) -> bool:
    expected = hashlib.md5((player_password(key, secret) + salt).encode(), usedforsecurity=False).hexdigest()
    return hmac.compare_digest(expected.encode(), token.lower().encode())


def _plain(password: str) -> str:
    if not password.startswith("enc:"):
        return password
    try:
        return bytes.fromhex(password[4:]).decode()
    except ValueError:
        raise SubsonicError(WRONG, "p begins with enc: and goes on with what is no hexadecimal text") from None


def _nobody(caller: Caller) -> tuple[int, str]:
    if caller.key is None:
        return MISSING, "this speaks of a user; say which as u"
    return FORBIDDEN, f"the key {caller.key.name!r} is bound to no user; make one with --user NAME"


def _count(verifier: Verifier, caller: Caller, who: str) -> None:
    counted = None if caller.trusted else verifier.limits.requests.take(who)
    if counted is not None and not counted.allowed:
        raise counted.problem()
