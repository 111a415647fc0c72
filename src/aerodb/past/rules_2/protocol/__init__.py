"""What crosses a wire or is signed: facts, plans, pledges, grants, outcomes; canonical bytes."""
