"""What a page is made of: its parts, the numbers it shows, the records behind them."""
