<?php

namespace App\Support;

/**
 * What the site keeps from one release to the next, in storage/: its database, and the key that
 * signs its cookies. Halage gives every release of an environment the same storage/ (`persistent`
 * in halage.toml), and an empty one to the first.
 */
class KeptStorage
{
    private const FOLDERS = [
        'app/public', 'framework/cache/data', 'framework/sessions', 'framework/views', 'logs',
    ];

    /** Make the folders and the empty database that a new environment does not have yet. */
    public static function prepare(string $storage): void
    {
        if (is_file("$storage/app/database.sqlite") && is_dir("$storage/framework/views")) {
            return;
        }
        foreach (self::FOLDERS as $folder) {
            @mkdir("$storage/$folder", 0755, true);
        }
        touch("$storage/app/database.sqlite");
    }

    /** The key made at the first start of the environment, so that nobody has to set APP_KEY. */
    public static function key(string $storage): string
    {
        $path = "$storage/app/key";
        if (! is_file($path)) {
            // Written aside and linked: of two that start at once, one wins and both read the same.
            $own = tempnam(dirname($path), 'key');
            file_put_contents($own, 'base64:'.base64_encode(random_bytes(32)));
            @link($own, $path);
            unlink($own);
        }

        return trim(file_get_contents($path));
    }
}
