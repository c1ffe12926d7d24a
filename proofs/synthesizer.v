From Coq Require Import Reals Lra Lia Psatz.
From Coquelicot Require Import Coquelicot.
From Book Require Import common.
Open Scope R_scope.
Set Bullet Behavior "Strict Subproofs".

Definition relu x := Rmax 0 x.
(** The scores of one dense head: row t from token t, of width d, with a hidden layer of width h. *)
Definition dense d h (A B : nat -> nat -> R) (b1 b2 : nat -> R) (X : nat -> nat -> R) t s :=
  Sum h (fun k => relu (Sum d (fun l => X t l * A l k) + b1 k) * B k s) + b2 s.
(** The scores of a dot-product head, U = W_Q W_K' with its scale. *)
Definition dot_scores d (U X : nat -> nat -> R) t s := Sum d (fun i => Sum d (fun j => X t i * U i j * X s j)).
(** The output of a head with the values X V: entry c of row t. *)
Definition output n d (S : nat -> nat -> R) (V X : nat -> nat -> R) t c :=
  Sum n (fun s => softmax n (S t) s * Sum d (fun l => X s l * V l c)).
(** X with y added to token j. *)
Definition nudged (X : nat -> nat -> R) j y (t l : nat) := X t l + (if Nat.eqb t j then y l else 0).
(** claim synthesizer-no-interaction. The row of scores of a token is a function of that token alone: two
    inputs that agree in it, in the places t and t', have the same row. *)
Theorem own_token_only d h A B b1 b2 X X' t t' s : (forall l, (l < d)%nat -> X t l = X' t' l) ->
  dense d h A B b1 b2 X t s = dense d h A B b1 b2 X' t' s.
Proof.
  intro H. unfold dense. f_equal. apply Sum_ext. intros k _. f_equal. f_equal. f_equal.
  apply Sum_ext. intros l Hl. rewrite H by exact Hl. reflexivity.
Qed.
(** claim synthesizer-no-interaction. So its derivative by another token is 0. *)
Theorem other_token_derivative d h A B b1 b2 X t j y s : j <> t ->
  is_derive (fun r => dense d h A B b1 b2 (nudged X j (fun l => r * y l)) t s) 0 0.
Proof.
  intro N. apply (is_derive_ext (fun _ => dense d h A B b1 b2 X t s)); [|apply @is_derive_const].
  intro r. apply own_token_only. intros l _. unfold nudged. destruct (Nat.eqb_spec t j); [congruence|ring].
Qed.
(** claim synthesizer-no-interaction. That of a dot-product score is x_t U, and 0 only where this is 0. *)
Theorem dot_score_nudged d U X t j y : j <> t ->
  dot_scores d U (nudged X j y) t j = dot_scores d U X t j + Sum d (fun i => Sum d (fun l => X t i * U i l * y l)).
Proof.
  intro N. unfold dot_scores. rewrite <- Sum_plus. apply Sum_ext. intros i _. rewrite <- Sum_plus. apply Sum_ext. intros l _.
  unfold nudged. rewrite Nat.eqb_refl. destruct (Nat.eqb_spec t j); [congruence|ring].
Qed.
(** claim synthesizer-no-interaction. Where row t of the scores does not depend on token j, the output at t is
    affine in it: y added to x_j adds the weight times y V. *)
Theorem output_affine n d S V X t j y c : (j < n)%nat ->
  output n d S V (nudged X j y) t c = output n d S V X t c + softmax n (S t) j * Sum d (fun l => y l * V l c).
Proof.
  intro Hj. unfold output.
  rewrite <- (Sum_delta n j (fun s => softmax n (S t) s * Sum d (fun l => y l * V l c)) Hj), <- Sum_plus.
  apply Sum_ext. intros s _. destruct (Nat.eqb_spec s j) as [E|E].
  - rewrite <- Rmult_plus_distr_l, <- Sum_plus. f_equal. apply Sum_ext. intros l _. unfold nudged. rewrite E, Nat.eqb_refl. ring.
  - rewrite Rplus_0_r. f_equal. apply Sum_ext. intros l _. unfold nudged. destruct (Nat.eqb_spec s j); [contradiction|ring].
Qed.
(** claim synthesizer-shared. The scores of all heads together, a row for each head and token: of hidden vectors
    H of width w with one B and b_2 for all they have rank at most w + 1. *)
Theorem shared_rank rows n w (H B : nat -> nat -> R) b2 : rank_at_most (w + 1) rows n (fun t s => Sum w (fun k => H t k * B k s) + b2 s).
Proof.
  apply (rank_add w 1 rows n (fun t s => Sum w (fun k => H t k * B k s)) (fun _ s => b2 s)).
  - exists H, B. reflexivity.
  - exists (fun _ _ => 1), (fun _ s => b2 s). intros. simpl. ring.
Qed.
(** claim synthesizer-shared. With a B_i and a b_2,i for each of h heads, at most h w + h, which is d + h for w
    = d / h. *)
Theorem unshared_rank rows n w h (head : nat -> nat) (H : nat -> nat -> R) (B : nat -> nat -> nat -> R) (b2 : nat -> nat -> R) :
  (forall t, (t < rows)%nat -> (head t < h)%nat) ->
  rank_at_most (h * w + h) rows n (fun t s => Sum w (fun k => H t k * B (head t) k s) + b2 (head t) s).
Proof.
  intro Hh.
  assert (R : forall i, rank_at_most (i * w + i) rows n
    (fun t s => if Nat.ltb (head t) i then Sum w (fun k => H t k * B (head t) k s) + b2 (head t) s else 0)).
  { induction i.
    - exists (fun _ _ => 0), (fun _ _ => 0). intros. reflexivity.
    - replace (S i * w + S i)%nat with (i * w + i + (w + 1))%nat by lia.
      apply (rank_ext _ _ _ (fun t s => (if Nat.ltb (head t) i then Sum w (fun k => H t k * B (head t) k s) + b2 (head t) s else 0)
        + (if Nat.eqb (head t) i then Sum w (fun k => H t k * B i k s) + b2 i s else 0))).
      + intros t s _ _. destruct (Nat.ltb_spec (head t) i), (Nat.eqb_spec (head t) i), (Nat.ltb_spec (head t) (S i)); try lia; subst; ring.
      + apply rank_add; [exact IHi|].
        apply (rank_ext _ _ _ (fun t s => Sum w (fun k => (if Nat.eqb (head t) i then H t k else 0) * B i k s) + (if Nat.eqb (head t) i then 1 else 0) * b2 i s)).
        * intros t s _ _. destruct (Nat.eqb (head t) i); [ring|]. rewrite Sum_0 by (intros; ring). ring.
        * apply (rank_add w 1 rows n (fun t s => Sum w (fun k => (if Nat.eqb (head t) i then H t k else 0) * B i k s)) (fun t s => (if Nat.eqb (head t) i then 1 else 0) * b2 i s)).
          -- exists (fun t k => if Nat.eqb (head t) i then H t k else 0), (B i). reflexivity.
          -- exists (fun t _ => if Nat.eqb (head t) i then 1 else 0), (fun _ s => b2 i s). intros. simpl. ring. }
  generalize (R h). apply rank_ext. intros t s Ht _. destruct (Nat.ltb_spec (head t) h); [reflexivity|]. pose proof (Hh t Ht). lia.
Qed.
(** claim synthesizer-cheaper. Of 4nd^2 + 2n^2d multiply-adds n d^2 saved is the share d / (4d + 2n), below 1/4. *)
Theorem dense_saves n d : 0 < n -> 0 < d ->
  n * d ^ 2 / (4 * n * d ^ 2 + 2 * n ^ 2 * d) = d / (4 * d + 2 * n) /\ d / (4 * d + 2 * n) < / 4.
Proof.
  intros Hn Hd. split.
  { replace (4 * n * d ^ 2 + 2 * n ^ 2 * d) with (n * d * (4 * d + 2 * n)) by ring. field. lra. }
  apply Rmult_lt_reg_r with (4 * d + 2 * n); [lra|].
  unfold Rdiv. rewrite Rmult_assoc, Rinv_l by lra. lra.
Qed.
(** claim synthesizer-cheaper. The random kind saves 2nd^2 + n^2d of them, half. *)
Theorem random_saves n d : 0 < n -> 0 < d -> (2 * n * d ^ 2 + n ^ 2 * d) / (4 * n * d ^ 2 + 2 * n ^ 2 * d) = / 2.
Proof. intros Hn Hd. assert (0 < n * d ^ 2) by (apply Rmult_lt_0_compat; [lra|apply pow_lt; lra]). assert (0 < n ^ 2 * d) by (apply Rmult_lt_0_compat; [apply pow_lt; lra|lra]). field. lra. Qed.
