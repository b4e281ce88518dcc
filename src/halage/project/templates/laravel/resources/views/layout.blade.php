<!doctype html>
<html lang="{{ app()->getLocale() }}">
<head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <title>@yield('title', config('app.name'))</title>
    <link rel="icon" href="/favicon.svg" type="image/svg+xml">
    <link rel="stylesheet" href="/app.css">
</head>
<body data-environment="{{ $version->environment }}">
<header>
    <a class="name" href="/">{{ config('app.name') }}</a>
    <span class="badge">{{ $version->environment }}</span>
</header>
<main>
    @yield('main')
</main>
<footer>
    <ol class="way" aria-label="The way of a change">
        @foreach (['push', 'tests', 'dev', 'preprod', 'approval', 'prod'] as $stage)
            <li @if ($stage === $version->environment) aria-current="step" @endif>{{ $stage }}</li>
        @endforeach
    </ol>
    <span>
        @if ($version->release) v{{ $version->release }} · @endif commit <code>{{ $version->commit }}</code>
    </span>
</footer>
</body>
</html>
