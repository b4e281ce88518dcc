<?php

namespace App\Models;

use Illuminate\Database\Eloquent\Model;

/** Something on the shelf. The price is in cents. */
class Product extends Model
{
    protected $fillable = ['name', 'description', 'price_cents', 'sign'];

    public function getPriceAttribute(): string
    {
        return number_format($this->price_cents / 100, 2).' €';
    }
}
