"""What a page is made of: its parts, the numbers it shows, and the records behind them."""
