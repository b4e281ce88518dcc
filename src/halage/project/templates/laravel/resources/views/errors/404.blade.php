@extends('layout', ['version' => App\Support\Version::current()])

@section('title', 'Not found')

@section('main')
    <h1>There is nothing here.</h1>
    <p class="lead">The page has cast off, or was never moored. <a href="/">Back to the shop</a></p>
@endsection
