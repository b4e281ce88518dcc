<?php

namespace App\Http\Controllers;

use App\Models\Product;
use App\Support\Version;
use Illuminate\Contracts\View\View;
use Illuminate\Routing\Controller;

class HomeController extends Controller
{
    public function __invoke(): View
    {
        return view('home', [
            'products' => Product::orderBy('name')->get(),
            'version' => Version::current(),
        ]);
    }
}
