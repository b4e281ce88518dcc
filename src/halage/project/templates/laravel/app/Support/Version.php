<?php

namespace App\Support;

/** What Halage says about the release that runs. */
class Version
{
    public function __construct(
        public readonly string $project,
        public readonly string $environment,
        public readonly string $release,
        public readonly string $commit,
    ) {
    }

    public static function current(): self
    {
        $settings = config('app.halage');

        return new self(
            $settings['project'],
            $settings['environment'],
            $settings['release'],
            preg_replace('/^([0-9a-f]{7})[0-9a-f]+$/', '$1', $settings['commit']),
        );
    }
}
