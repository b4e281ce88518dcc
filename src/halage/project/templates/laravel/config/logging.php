<?php

use Monolog\Formatter\LineFormatter;
use Monolog\Handler\NullHandler;
use Monolog\Handler\StreamHandler;

return [
    // Halage keeps what a site writes to stderr: `halage env logs`.
    'default' => env('LOG_CHANNEL', 'stderr'),
    'deprecations' => 'null',

    'channels' => [
        'stderr' => [
            'driver' => 'monolog',
            'handler' => StreamHandler::class,
            'with' => ['stream' => 'php://stderr'],
            'formatter' => LineFormatter::class,
            'formatter_with' => ['format' => "%level_name% %message% %context%\n", 'ignoreEmptyContextAndExtra' => true],
        ],
        'single' => ['driver' => 'single', 'path' => storage_path('logs/laravel.log')],
        'null' => ['driver' => 'monolog', 'handler' => NullHandler::class],
    ],
];
