@extends('layout')

@section('main')
    <h1>Everything for the towpath.</h1>
    <p class="lead">A small shop for those who pull boats along canals. Change this page, push it, and watch it go through its locks.</p>

    <ul class="cards">
        @forelse ($products as $product)
            <li class="card">
                <span class="sign" aria-hidden="true">{{ $product->sign }}</span>
                <h2>{{ $product->name }}</h2>
                <p>{{ $product->description }}</p>
                <strong>{{ $product->price }}</strong>
            </li>
        @empty
            <li class="card"><p>The shelf is empty. Come back after the next boat.</p></li>
        @endforelse
    </ul>
@endsection
