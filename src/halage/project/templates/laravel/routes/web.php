<?php

use App\Http\Controllers\HomeController;
use Illuminate\Support\Facades\Route;

Route::middleware('pages')->get('/', HomeController::class)->name('home');
