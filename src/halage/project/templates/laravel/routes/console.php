<?php

use App\Support\Version;
use Illuminate\Support\Facades\Artisan;

Artisan::command('version', function () {
    $version = Version::current();
    $this->line("$version->project $version->commit in $version->environment");
})->describe('Tell which commit runs in which environment');
