"""A TikTok for the whole run, on a free port, and in it an app for each test. What tests say to it goes over HTTP."""
import json
import os
import re
import subprocess
import urllib.request

import pytest
from login import REDIRECT_URI, Login


def post(address, body):
    request = urllib.request.Request(address, json.dumps(body).encode(), {"content-type": "application/json"})
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


class App:
    """People, clock, faults and requests of this app are its own: a test cannot disturb another."""

    def __init__(self, url):
        made = post(f"{url}/_sim/apps", {"redirect_uris": [REDIRECT_URI]})
        self.login = Login(url, made["client_key"], made["client_secret"])
        self.control = made["control"]

    def sim(self, path, body):
        return post(f"{self.control}/{path}", body)

    def decide(self, person, **decision):
        """Where TikTok sends the browser when this person has decided."""
        return self.sim("authorize", {"authorize_url": self.login.authorize_url(), "person": person, **decision})["redirect_to"]


@pytest.fixture(scope="session")
def tiktok():
    command = os.environ.get("TIKTOK_SIMULATOR_COMMAND", "npx tiktok-simulator").split()
    process = subprocess.Popen([*command, "--port", "0"], stdout=subprocess.PIPE, text=True)
    yield re.search(r"TikTok simulator at (\S+)", process.stdout.readline()).group(1)
    process.terminate()
    process.wait()


@pytest.fixture
def app(tiktok):
    return App(tiktok)
