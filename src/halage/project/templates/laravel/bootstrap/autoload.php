<?php

/*
 * Laravel comes from vendor/ once you have run `composer require laravel/framework`, and until then
 * from the package php-laravel-framework of Debian and Ubuntu, so that the site runs without network.
 */

if (is_file(__DIR__.'/../vendor/autoload.php')) {
    return require __DIR__.'/../vendor/autoload.php';
}

if (! stream_resolve_include_path('Illuminate/autoload.php')) {
    throw new RuntimeException(
        'Laravel is not there: run `composer require laravel/framework` or `apt install php-laravel-framework`.'
    );
}

require_once 'Illuminate/autoload.php';

spl_autoload_register(function (string $class): void {
    foreach (['App\\' => 'app', 'Tests\\' => 'tests'] as $prefix => $folder) {
        $file = __DIR__."/../$folder/".str_replace('\\', '/', substr($class, strlen($prefix))).'.php';
        if (str_starts_with($class, $prefix) && is_file($file)) {
            require $file;
        }
    }
});
