From Coq Require Import Reals Lra Lia Psatz.
From Coquelicot Require Import Coquelicot.
From Book Require Import common.
Open Scope R_scope.
Set Bullet Behavior "Strict Subproofs".

(** A code of m clocks is the pairs (sin w_i p, cos w_i p), i < m: here the two rows apart. *)
Definition PE_sin (w : nat -> R) p i := sin (w i * p).
Definition PE_cos (w : nat -> R) p i := cos (w i * p).
(** claim sinusoid-relative. The code at p + k is that at p turned by a rotation that does not contain p. *)
Theorem PE_shift w p k i :
  PE_sin w (p + k) i = cos (w i * k) * PE_sin w p i + sin (w i * k) * PE_cos w p i /\
  PE_cos w (p + k) i = - sin (w i * k) * PE_sin w p i + cos (w i * k) * PE_cos w p i.
Proof. unfold PE_sin, PE_cos. rewrite Rmult_plus_distr_l, sin_plus, cos_plus. split; ring. Qed.
(** claim sinusoid-relative. The dot product of two codes is the sum of cos w_i (p - s). *)
Theorem PE_dot m w p s :
  Sum m (fun i => PE_sin w p i * PE_sin w s i + PE_cos w p i * PE_cos w s i) = Sum m (fun i => cos (w i * (p - s))).
Proof.
  unfold PE_sin, PE_cos. apply Sum_ext. intros. replace (w i * (p - s)) with (w i * p - w i * s) by ring. rewrite cos_minus. ring.
Qed.
(** claim sinusoid-relative. So it knows the distance, and not the direction. *)
Theorem PE_dot_even m w p s :
  Sum m (fun i => cos (w i * (p - s))) = Sum m (fun i => cos (w i * (s - p))).
Proof. apply Sum_ext. intros. rewrite <- cos_neg. f_equal. ring. Qed.
(** A pair (x, y) turned by the angle a: its two entries. *)
Definition turn_x a x y := cos a * x - sin a * y.
Definition turn_y a x y := sin a * x + cos a * y.
(** claim rotary-relative. Turning by the angles of p and of s is turning by that of p + s. *)
Theorem turn_add a b x y :
  turn_x a (turn_x b x y) (turn_y b x y) = turn_x (a + b) x y /\
  turn_y a (turn_x b x y) (turn_y b x y) = turn_y (a + b) x y.
Proof. unfold turn_x, turn_y. rewrite sin_plus, cos_plus. split; ring. Qed.
(** claim rotary-relative. The score of a query turned for p and a key turned for s is that of the query and
    the key turned for s - p: it sees the offset alone. The i-th pair of q is (qx i, qy i). *)
Theorem rotary_score m w p s qx qy kx ky :
  Sum m (fun i => turn_x (w i * p) (qx i) (qy i) * turn_x (w i * s) (kx i) (ky i)
                + turn_y (w i * p) (qx i) (qy i) * turn_y (w i * s) (kx i) (ky i))
  = Sum m (fun i => qx i * turn_x (w i * (s - p)) (kx i) (ky i) + qy i * turn_y (w i * (s - p)) (kx i) (ky i)).
Proof.
  apply Sum_ext. intros. unfold turn_x, turn_y.
  replace (w i * (s - p)) with (w i * s - w i * p) by ring. rewrite sin_minus, cos_minus. ring.
Qed.
(** claim rotary-relative. Turning keeps the norm. *)
Theorem turn_norm a x y : turn_x a x y ^ 2 + turn_y a x y ^ 2 = x ^ 2 + y ^ 2.
Proof.
  unfold turn_x, turn_y. pose proof (sin2_cos2 a) as E. unfold Rsqr in E.
  transitivity ((sin a * sin a + cos a * cos a) * (x ^ 2 + y ^ 2)); [ring|]. rewrite E. ring.
Qed.
(** claim rotary-relative. With the sign of the upper sine wrong the score depends on p + s too: the pairs
    (1, 0) and (0, 1), angle 1 per place, the offset 0, the places 0 and pi/4. *)
Theorem wrong_sign :
  let wrong_x a x y := cos a * x + sin a * y in
  let score p s := wrong_x p 1 0 * wrong_x s 0 1 + turn_y p 1 0 * turn_y s 0 1 in
  score 0 0 = 0 /\ score (PI / 4) (PI / 4) = 1.
Proof.
  intros wrong_x score. unfold score, wrong_x, turn_y. rewrite sin_0, cos_0, sin_PI4, cos_PI4. split; [ring|].
  assert (sqrt 2 * sqrt 2 = 2) by (apply sqrt_sqrt; lra). assert (0 < sqrt 2) by (apply sqrt_lt_R0; lra).
  field_simplify; [|lra]. replace (sqrt 2 ^ 2) with 2 by (simpl; lra). field.
Qed.
(** Self-attention of n tokens X 0, ..., X (n-1): one entry of the output at t. The scores are any function
    of the two tokens, the values any function of the token. *)
Definition attend {Token : Type} n (score : Token -> Token -> R) (value : Token -> R) (X : nat -> Token) t :=
  Mean n (softmax n (fun s => score (X t) (X s))) (fun s => value (X s)).
(** claim permutation-equivariance. Tokens in another order have their outputs in that order; tau undoes sigma. *)
Theorem outputs_permuted (Token : Type) n score value (X : nat -> Token) sigma tau t :
  (forall i, (i < n)%nat -> (sigma i < n)%nat /\ tau (sigma i) = i) ->
  (forall j, (j < n)%nat -> (tau j < n)%nat /\ sigma (tau j) = j) ->
  attend n score value (fun s => X (sigma s)) t = attend n score value X (sigma t).
Proof.
  intros S T. unfold attend, Mean, softmax.
  rewrite (Sum_shuffled n sigma tau (fun s => exp (score (X (sigma t)) (X s))) S T).
  exact (Sum_shuffled n sigma tau
    (fun s => exp (score (X (sigma t)) (X s)) / Sum n (fun r => exp (score (X (sigma t)) (X r))) * value (X s)) S T).
Qed.
(** claim permutation-equivariance. The output of one fixed query is the same for every order of the tokens. *)
Theorem fixed_query (Token : Type) n (score value : Token -> R) (X : nat -> Token) sigma tau :
  (forall i, (i < n)%nat -> (sigma i < n)%nat /\ tau (sigma i) = i) ->
  (forall j, (j < n)%nat -> (tau j < n)%nat /\ sigma (tau j) = j) ->
  Mean n (softmax n (fun s => score (X (sigma s)))) (fun s => value (X (sigma s)))
  = Mean n (softmax n (fun s => score (X s))) (fun s => value (X s)).
Proof.
  intros S T. unfold Mean, softmax. rewrite (Sum_shuffled n sigma tau (fun s => exp (score (X s))) S T).
  exact (Sum_shuffled n sigma tau (fun s => exp (score (X s)) / Sum n (fun r => exp (score (X r))) * value (X s)) S T).
Qed.
(** claim concat-vs-add. Adding a code is joining it, with one projection W for both: (x + c) W = [x, c] [W; W]. *)
Theorem add_is_concat d (x c : nat -> R) (W : nat -> nat -> R) j :
  Sum d (fun l => (x l + c l) * W l j)
  = Sum (d + d) (fun l => (if Nat.ltb l d then x l else c (l - d)%nat) * (if Nat.ltb l d then W l j else W (l - d)%nat j)).
Proof.
  rewrite Sum_app, <- Sum_plus. apply Sum_ext. intros l Hl.
  destruct (Nat.ltb_spec l d); [|lia]. destruct (Nat.ltb_spec (d + l) d); [lia|]. replace (d + l - d)%nat with l by lia. ring.
Qed.
