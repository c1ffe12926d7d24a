(** Interval arithmetic whose numbers are built from whole numbers. The tactic `interval` as it
    comes computes with the machine's floats, and trusts axioms about them. Use it from here, and
    always as `interval with (i_prec N)`, N bits. *)
From Coq Require Import Reals ZArith.
From Interval Require Export Tactic.
From Interval Require Import Specific_stdz Specific_ops.
Module SFZ := SpecificFloat StdZRadix2.
Module IntervalZ := IntervalTactic SFZ.
Export IntervalZ.
