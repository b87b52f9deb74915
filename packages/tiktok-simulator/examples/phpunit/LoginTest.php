<?php
// A TikTok for the whole class, on a free port, and in it an app for each test. What the tests say to it goes over HTTP.
declare(strict_types=1);

use PHPUnit\Framework\TestCase;

require_once __DIR__ . '/Login.php';

final class LoginTest extends TestCase
{
    private static $process;
    private static string $url;
    private Login $login;
    /** Where this app is controlled: its people, clock, faults and requests are its own. */
    private string $control;

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
        $app = self::post(self::$url . '/_sim/apps', ['redirect_uris' => [Login::REDIRECT_URI]]);
        $this->control = $app['control'];
        $this->login = new Login(self::$url, $app['client_key'], $app['client_secret']);
    }

    public function testMaraLogsIn(): void
    {
        $tokens = $this->login->exchange($this->codeOf('mara'));
        self::assertSame('Mara Cooks', $this->login->nameOf($tokens['access_token']));
    }

    public function testARefreshTokenIsGoodForOne(): void
    {
        $tokens = $this->login->exchange($this->codeOf('jonas'));
        $this->login->refresh($tokens['refresh_token']);
        $this->expectExceptionMessage('invalid_grant');
        $this->login->refresh($tokens['refresh_token']);
    }

    public function testHalfAYearPasses(): void
    {
        $tokens = $this->login->exchange($this->codeOf('mara'));
        self::post("$this->control/clock", ['advance_seconds' => 181 * 86_400]);
        $this->expectExceptionMessage('invalid_grant');
        $this->login->refresh($tokens['refresh_token']);
    }

    public function testMaraMayNotBeKnownByHerUsername(): void
    {
        $tokens = $this->login->exchange($this->codeOf('mara'));
        self::post("$this->control/faults", ['route' => 'user_info', 'error' => 'scope_not_authorized']);
        $this->expectExceptionMessage('scope_not_authorized');
        $this->login->nameOf($tokens['access_token']);
    }

    private function codeOf(string $person): string
    {
        $decided = self::post("$this->control/authorize", ['authorize_url' => $this->login->authorizeUrl(), 'person' => $person]);
        parse_str((string) parse_url($decided['redirect_to'], PHP_URL_QUERY), $back);
        return $back['code'];
    }

    private static function post(string $address, array $body): array
    {
        $context = ['method' => 'POST', 'header' => 'content-type: application/json', 'content' => json_encode($body)];
        return json_decode(file_get_contents($address, false, stream_context_create(['http' => $context])), true);
    }
}
