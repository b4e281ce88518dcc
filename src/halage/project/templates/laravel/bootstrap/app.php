<?php

use App\Support\KeptStorage;

$app = new Illuminate\Foundation\Application(dirname(__DIR__));

KeptStorage::prepare($app->storagePath());

$app->singleton(Illuminate\Contracts\Http\Kernel::class, App\Http\Kernel::class);
$app->singleton(Illuminate\Contracts\Console\Kernel::class, App\Console\Kernel::class);
$app->singleton(Illuminate\Contracts\Debug\ExceptionHandler::class, App\Exceptions\Handler::class);

return $app;
