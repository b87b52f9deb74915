from urllib.parse import parse_qs, urlsplit

import login
import pytest


def connect(tiktok, person):
    back = parse_qs(urlsplit(tiktok.decide(login.authorize_url(tiktok.url), person)).query)
    return login.exchange(tiktok.url, back["code"][0])


def test_mara_logs_in(tiktok):
    tokens = connect(tiktok, "mara")
    assert login.name_of(tiktok.url, tokens["access_token"]) == "Mara Cooks"


def test_a_name_from_right_to_left(tiktok):
    tokens = connect(tiktok, "noura")
    assert login.name_of(tiktok.url, tokens["access_token"]) == "نورة الحسيني ✨"


def test_two_hours_pass(tiktok):
    tokens = connect(tiktok, "jonas")
    tiktok.sim("POST", "clock", {"advance_seconds": 7200})
    with pytest.raises(PermissionError, match="access_token_invalid"):
        login.name_of(tiktok.url, tokens["access_token"])
    assert login.refresh(tiktok.url, tokens["refresh_token"])["open_id"] == tokens["open_id"]


def test_tiktok_is_down_for_a_while(tiktok):
    tokens = connect(tiktok, "mara")
    tiktok.sim("POST", "faults", {"route": "refresh", "error": "temporarily_unavailable"})
    with pytest.raises(PermissionError, match="temporarily_unavailable"):
        login.refresh(tiktok.url, tokens["refresh_token"])
    assert login.refresh(tiktok.url, tokens["refresh_token"])["refresh_token"] != tokens["refresh_token"]
