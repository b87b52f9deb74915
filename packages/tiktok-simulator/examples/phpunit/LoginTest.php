<?php
// A TikTok for the whole class, on a free port. What the tests say to it goes over HTTP.
declare(strict_types=1);

use PHPUnit\Framework\TestCase;

require_once __DIR__ . '/Login.php';

final class LoginTest extends TestCase
{
    private static $process;
    private static string $url;

    public static function setUpBeforeClass(): void
    {
        $command = explode(' ', getenv('TIKTOK_SIMULATOR_COMMAND') ?: 'npx tiktok-simulator');
        self::$process = proc_open([...$command, '--port', '0'], [1 => ['pipe', 'w']], $pipes);
        preg_match('/TikTok simulator at (\S+)/', (string) fgets($pipes[1]), $found);
        self::$url = $found[1];
    }

    public static function tearDownAfterClass(): void
    {
        proc_terminate(self::$process);
    }

    protected function setUp(): void
    {
        self::sim('POST', 'reset');
    }

    public function testMaraLogsIn(): void
    {
        $login = new Login(self::$url);
        $tokens = $login->exchange($this->codeOf($login, 'mara'));
        self::assertSame('Mara Cooks', $login->nameOf($tokens['access_token']));
    }

    public function testARefreshTokenIsGoodForOne(): void
    {
        $login = new Login(self::$url);
        $tokens = $login->exchange($this->codeOf($login, 'jonas'));
        $login->refresh($tokens['refresh_token']);
        $this->expectExceptionMessage('invalid_grant');
        $login->refresh($tokens['refresh_token']);
    }

    public function testHalfAYearPasses(): void
    {
        $login = new Login(self::$url);
        $tokens = $login->exchange($this->codeOf($login, 'mara'));
        self::sim('POST', 'clock', ['advance_seconds' => 181 * 86_400]);
        $this->expectExceptionMessage('invalid_grant');
        $login->refresh($tokens['refresh_token']);
    }

    public function testMaraMayNotBeKnownByHerUsername(): void
    {
        $login = new Login(self::$url);
        $tokens = $login->exchange($this->codeOf($login, 'mara'));
        self::sim('POST', 'faults', ['route' => 'user_info', 'error' => 'scope_not_authorized']);
        $this->expectExceptionMessage('scope_not_authorized');
        $login->nameOf($tokens['access_token']);
    }

    private function codeOf(Login $login, string $person): string
    {
        $decided = self::sim('POST', 'authorize', ['authorize_url' => $login->authorizeUrl(), 'person' => $person]);
        parse_str((string) parse_url($decided['redirect_to'], PHP_URL_QUERY), $back);
        return $back['code'];
    }

    private static function sim(string $method, string $path, ?array $body = null): array
    {
        $context = ['method' => $method, 'header' => 'content-type: application/json'];
        if ($body !== null) {
            $context['content'] = json_encode($body);
        }
        return json_decode(file_get_contents(self::$url . "/_sim/$path", false, stream_context_create(['http' => $context])), true);
    }
}
