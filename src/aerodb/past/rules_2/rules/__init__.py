"""Pure judgement: facts in, verdicts and plans out."""
