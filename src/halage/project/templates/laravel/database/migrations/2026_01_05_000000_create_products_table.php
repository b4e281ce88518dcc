<?php

use Illuminate\Database\Migrations\Migration;
use Illuminate\Database\Schema\Blueprint;
use Illuminate\Support\Facades\DB;
use Illuminate\Support\Facades\Schema;

return new class extends Migration
{
    private const FIRST_PRODUCTS = [
        ['Towline', 'Thirty metres of hemp, spliced by hand. Pulls without a jerk.', 4900, '⌇'],
        ['Lock key', 'Forged steel. Opens a sluice a quarter of a turn at a time.', 3200, '⚷'],
        ['Brass lantern', 'So that they see you coming, and you see who is coming.', 7800, '✶'],
    ];

    public function up(): void
    {
        Schema::create('products', function (Blueprint $table) {
            $table->id();
            $table->string('name')->unique();
            $table->string('description');
            $table->unsignedInteger('price_cents');
            $table->string('sign', 8);
            $table->timestamps();
        });

        foreach (self::FIRST_PRODUCTS as [$name, $description, $price_cents, $sign]) {
            DB::table('products')->insert(compact('name', 'description', 'price_cents', 'sign'));
        }
    }

    public function down(): void
    {
        Schema::dropIfExists('products');
    }
};
