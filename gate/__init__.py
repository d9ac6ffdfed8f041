"""All that leads to the internal API, for a security review to read: the law, proposals, decisions, sending, reads, cards.

Nobody else sends anything to the API, and nothing here talks to the model. Read it in this order:

1. policy.py        the law: which calls need a person, and what may become of a proposal
2. gate.py          what others may ask of the gate, and how its parts are put together
3. proposals.py     a write becomes a proposal
4. decisions.py     votes, denials, withdrawals, time; authority.py: who may
5. last_checks.py   the catalog, the rule and the target once more, right before sending
6. sending.py       the step to sending, once, and how it ended
7. proposal_changes.py  how a proposal changes, and what goes with that; journal_entries.py, card_posts.py: in journal and Slack
8. api_client.py    the one way out: sending.py has one client for all methods, single_reads.py one for GET and HEAD;
                    under it connection_pools.py: the pools, each API's certificates, and api_pace.py: what an API can take
9. single_reads.py  one answer with its redirects; lists.py, look_ups.py, targets.py read by it, reads.py gives that to the model

reply_calls.py takes the calls of one reply through the gate, recipe_runs.py several as one. All else here computes and reaches
nowhere: cards.py draws, with card_lines.py, card_blocks.py, card_modals.py and home_cards.py; preview.py, naming.py and
target_diff.py know targets; answers.py, partial_answers.py, media.py and results.py make results of answers, answer_places.py says
where they may be told, paging.py makes the next page's request, recipes.py the next step's call; condition_trials.py tries
rules for `check`.
"""
