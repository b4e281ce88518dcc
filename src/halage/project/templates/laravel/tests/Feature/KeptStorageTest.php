<?php

namespace Tests\Feature;

use App\Support\KeptStorage;
use PHPUnit\Framework\TestCase;

class KeptStorageTest extends TestCase
{
    private string $storage;

    protected function setUp(): void
    {
        $this->storage = sys_get_temp_dir().'/storage-'.bin2hex(random_bytes(6));
        KeptStorage::prepare($this->storage);
    }

    protected function tearDown(): void
    {
        exec('rm -rf '.escapeshellarg($this->storage));
    }

    public function test_a_new_environment_gets_its_folders_and_an_empty_database(): void
    {
        $this->assertDirectoryExists("$this->storage/framework/views");
        $this->assertSame('', file_get_contents("$this->storage/app/database.sqlite"));
    }

    public function test_the_key_is_made_once_and_kept(): void
    {
        $key = KeptStorage::key($this->storage);

        $this->assertSame(32, strlen(base64_decode(substr($key, strlen('base64:')))));
        $this->assertSame($key, KeptStorage::key($this->storage));
        $this->assertSame(['database.sqlite', 'key', 'public'], array_values(array_diff(scandir("$this->storage/app"), ['.', '..'])));
    }
}
