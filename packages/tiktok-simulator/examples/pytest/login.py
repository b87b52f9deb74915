"""The code under test: log in with TikTok, as your app would."""
import json
import urllib.error
import urllib.parse
import urllib.request

KEY, SECRET, REDIRECT_URI = "awsimulator00001", "SimulatorSecretNotForProduction1", "https://app.example.com/callback"


def authorize_url(base):
    query = {"client_key": KEY, "response_type": "code", "scope": "user.info.basic", "redirect_uri": REDIRECT_URI, "state": "s"}
    return f"{base}/v2/auth/authorize/?{urllib.parse.urlencode(query)}"


def token(base, **fields):
    form = urllib.parse.urlencode({"client_key": KEY, "client_secret": SECRET, **fields}).encode()
    answer = urllib.request.urlopen(f"{base}/v2/oauth/token/", form)
    tokens = json.load(answer)
    if "error" in tokens:  # in a 200
        raise PermissionError(tokens["error"])
    return tokens


def exchange(base, code):
    return token(base, grant_type="authorization_code", code=code, redirect_uri=REDIRECT_URI)


def refresh(base, refresh_token):
    return token(base, grant_type="refresh_token", refresh_token=refresh_token)


def name_of(base, access_token):
    request = urllib.request.Request(f"{base}/v2/user/info/?fields=display_name", headers={"authorization": f"Bearer {access_token}"})
    try:
        return json.load(urllib.request.urlopen(request))["data"]["user"]["display_name"]
    except urllib.error.HTTPError as refusal:
        raise PermissionError(json.load(refusal)["error"]["code"]) from refusal
