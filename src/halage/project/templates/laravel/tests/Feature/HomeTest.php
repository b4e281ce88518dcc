<?php

namespace Tests\Feature;

use App\Models\Product;
use Illuminate\Foundation\Testing\RefreshDatabase;
use Tests\TestCase;

class HomeTest extends TestCase
{
    use RefreshDatabase;

    public function test_the_home_page_greets_visitors(): void
    {
        $this->get('/')->assertOk()->assertSee(config('app.name'))->assertSee('Everything for the towpath');
    }

    public function test_it_shows_the_products_by_name_with_their_price(): void
    {
        Product::create(['name' => 'Anchor', 'description' => 'Heavy.', 'price_cents' => 12050, 'sign' => '⚓']);

        $this->get('/')
            ->assertSeeInOrder(['Anchor', '120.50 €', 'Brass lantern', '78.00 €', 'Towline']);
    }

    public function test_it_says_what_it_has_when_the_shelf_is_empty(): void
    {
        Product::query()->delete();

        $this->get('/')->assertOk()->assertSee('The shelf is empty');
    }

    public function test_it_shows_which_commit_runs_where(): void
    {
        config(['app.halage' => [
            'project' => 'boutique', 'environment' => 'preprod', 'release' => '7', 'commit' => '0123456789abcdef',
        ]]);

        $this->get('/')->assertSee('0123456')->assertDontSee('01234567')->assertSee('preprod')->assertSee('v7');
    }

    public function test_what_a_product_says_cannot_run_in_the_browser(): void
    {
        Product::create(['name' => '<script>', 'description' => '', 'price_cents' => 1, 'sign' => '']);

        $this->get('/')->assertSee('&lt;script&gt;', false)->assertDontSee('<script>', false);
    }

    public function test_an_unknown_page_is_not_found(): void
    {
        $this->get('/nowhere')->assertNotFound()->assertSee('There is nothing here');
    }
}
