from urllib.parse import parse_qs, urlsplit

import pytest


def connect(app, person):
    back = parse_qs(urlsplit(app.decide(person)).query)
    return app.login.exchange(back["code"][0])


def test_mara_logs_in(app):
    tokens = connect(app, "mara")
    assert app.login.name_of(tokens["access_token"]) == "Mara Cooks"


def test_a_name_from_right_to_left(app):
    tokens = connect(app, "noura")
    assert app.login.name_of(tokens["access_token"]) == "نورة الحسيني ✨"


def test_two_hours_pass(app):
    tokens = connect(app, "jonas")
    app.sim("clock", {"advance_seconds": 7200})
    with pytest.raises(PermissionError, match="access_token_invalid"):
        app.login.name_of(tokens["access_token"])
    assert app.login.refresh(tokens["refresh_token"])["open_id"] == tokens["open_id"]


def test_tiktok_is_down_for_a_while(app):
    tokens = connect(app, "mara")
    app.sim("faults", {"route": "refresh", "error": "temporarily_unavailable"})
    with pytest.raises(PermissionError, match="temporarily_unavailable"):
        app.login.refresh(tokens["refresh_token"])
    assert app.login.refresh(tokens["refresh_token"])["refresh_token"] != tokens["refresh_token"]
