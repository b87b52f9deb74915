"""A TikTok for the whole run, on a free port. What tests say to it goes over HTTP."""
import json
import os
import re
import subprocess
import urllib.request

import pytest


class TikTok:
    def __init__(self, url):
        self.url = url

    def sim(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}/_sim/{path}", data, {"content-type": "application/json"}, method=method)
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)

    def decide(self, authorize_url, person, **decision):
        """Where TikTok sends the browser when this person has decided."""
        return self.sim("POST", "authorize", {"authorize_url": authorize_url, "person": person, **decision})["redirect_to"]


@pytest.fixture(scope="session")
def simulator():
    command = os.environ.get("TIKTOK_SIMULATOR_COMMAND", "npx tiktok-simulator").split()
    process = subprocess.Popen([*command, "--port", "0"], stdout=subprocess.PIPE, text=True)
    url = re.search(r"TikTok simulator at (\S+)", process.stdout.readline()).group(1)
    yield TikTok(url)
    process.terminate()
    process.wait()


@pytest.fixture
def tiktok(simulator):
    yield simulator
    simulator.sim("POST", "reset")
