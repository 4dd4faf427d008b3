"""From a decision's orders to new balances: the tight loop, the gateway to the venues, reconciliation."""
