<?php
// The code under test: log in with TikTok, as your app would.
declare(strict_types=1);

final class Login
{
    public const REDIRECT_URI = 'https://app.example.com/callback';

    public function __construct(private string $tiktok, private string $clientKey, private string $clientSecret)
    {
    }

    public function authorizeUrl(): string
    {
        return "$this->tiktok/v2/auth/authorize/?" . http_build_query([
            'client_key' => $this->clientKey,
            'response_type' => 'code',
            'scope' => 'user.info.basic',
            'redirect_uri' => self::REDIRECT_URI,
            'state' => 's',
        ]);
    }

    public function exchange(string $code): array
    {
        return $this->token(['grant_type' => 'authorization_code', 'code' => $code, 'redirect_uri' => self::REDIRECT_URI]);
    }

    public function refresh(string $refreshToken): array
    {
        return $this->token(['grant_type' => 'refresh_token', 'refresh_token' => $refreshToken]);
    }

    public function nameOf(string $accessToken): string
    {
        $answer = $this->ask('/v2/user/info/?fields=display_name', ['header' => "authorization: Bearer $accessToken"]);
        if ($answer['error']['code'] !== 'ok') {
            throw new RuntimeException($answer['error']['code']);
        }
        return $answer['data']['user']['display_name'];
    }

    private function token(array $fields): array
    {
        $tokens = $this->ask('/v2/oauth/token/', [
            'method' => 'POST',
            'header' => 'content-type: application/x-www-form-urlencoded',
            'content' => http_build_query(['client_key' => $this->clientKey, 'client_secret' => $this->clientSecret] + $fields),
        ]);
        if (isset($tokens['error'])) { // in a 200
            throw new RuntimeException($tokens['error']);
        }
        return $tokens;
    }

    private function ask(string $path, array $request): array
    {
        $context = stream_context_create(['http' => $request + ['ignore_errors' => true]]);
        return json_decode(file_get_contents($this->tiktok . $path, false, $context), true);
    }
}
