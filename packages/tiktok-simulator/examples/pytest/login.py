"""The code under test: log in with TikTok, as your app would. It knows TikTok by an address and nothing of a simulator."""
import json
import urllib.error
import urllib.parse
import urllib.request

REDIRECT_URI = "https://app.example.com/callback"


class Login:
    def __init__(self, url, client_key, client_secret):
        self.url, self.client_key, self.client_secret = url, client_key, client_secret

    def authorize_url(self):
        query = {
            "client_key": self.client_key,
            "response_type": "code",
            "scope": "user.info.basic",
            "redirect_uri": REDIRECT_URI,
            "state": "s",
        }
        return f"{self.url}/v2/auth/authorize/?{urllib.parse.urlencode(query)}"

    def exchange(self, code):
        return self._token(grant_type="authorization_code", code=code, redirect_uri=REDIRECT_URI)

    def refresh(self, refresh_token):
        return self._token(grant_type="refresh_token", refresh_token=refresh_token)

    def name_of(self, access_token):
        headers = {"authorization": f"Bearer {access_token}"}
        request = urllib.request.Request(f"{self.url}/v2/user/info/?fields=display_name", headers=headers)
        try:
            return json.load(urllib.request.urlopen(request))["data"]["user"]["display_name"]
        except urllib.error.HTTPError as refusal:
            raise PermissionError(json.load(refusal)["error"]["code"]) from refusal

    def _token(self, **fields):
        form = {"client_key": self.client_key, "client_secret": self.client_secret, **fields}
        tokens = json.load(urllib.request.urlopen(f"{self.url}/v2/oauth/token/", urllib.parse.urlencode(form).encode()))
        if "error" in tokens:  # in a 200
            raise PermissionError(tokens["error"])
        return tokens
