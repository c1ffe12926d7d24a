(** What all files share: finite sums, laws, softmax, bounds of ln.

    A row of n numbers is a function of which the entries 0, ..., n-1 are read. All numbers are
    real: nothing is rounded. In Coq ln x = 0 for x <= 0, so that 0 ln 0 = 0 and ln 0 = 0. *)
From Coq Require Import Reals Lra Lia Psatz.
From Coquelicot Require Import Coquelicot.
Open Scope R_scope.
Set Bullet Behavior "Strict Subproofs".

(** f 0 + ... + f (n-1). *)
Fixpoint Sum (n : nat) (f : nat -> R) : R :=
  match n with O => 0 | S m => Sum m f + f m end.

Lemma Sum_sum_n n f : Sum (S n) f = sum_n f n.
Proof.
  induction n.
  - simpl. rewrite sum_O. ring.
  - rewrite sum_Sn, <- IHn. reflexivity.
Qed.
Lemma Sum_ext n f g : (forall i, (i < n)%nat -> f i = g i) -> Sum n f = Sum n g.
Proof. intro H. induction n; simpl; [reflexivity|]. rewrite IHn, H; [reflexivity|lia|]. intros; apply H; lia. Qed.
Lemma Sum_le n f g : (forall i, (i < n)%nat -> f i <= g i) -> Sum n f <= Sum n g.
Proof. intro H. induction n; simpl; [lra|]. apply Rplus_le_compat; [apply IHn; intros|]; apply H; lia. Qed.
Lemma Sum_0 n f : (forall i, (i < n)%nat -> f i = 0) -> Sum n f = 0.
Proof. intro H. induction n; simpl; [reflexivity|]. rewrite IHn, H; [ring|lia|]. intros; apply H; lia. Qed.
Lemma Sum_nonneg n f : (forall i, (i < n)%nat -> 0 <= f i) -> 0 <= Sum n f.
Proof. intro H. rewrite <- (Sum_0 n (fun _ => 0)); [|trivial]. apply Sum_le. exact H. Qed.
Lemma Sum_pos n f : (0 < n)%nat -> (forall i, (i < n)%nat -> 0 < f i) -> 0 < Sum n f.
Proof.
  intros Hn H. destruct n; [lia|]. simpl.
  apply Rplus_le_lt_0_compat; [apply Sum_nonneg; intros; apply Rlt_le|]; apply H; lia.
Qed.
Lemma Sum_plus n f g : Sum n (fun i => f i + g i) = Sum n f + Sum n g.
Proof. induction n; simpl; [ring|]. rewrite IHn. ring. Qed.
Lemma Sum_minus n f g : Sum n (fun i => f i - g i) = Sum n f - Sum n g.
Proof. induction n; simpl; [ring|]. rewrite IHn. ring. Qed.
Lemma Sum_scal n c f : Sum n (fun i => c * f i) = c * Sum n f.
Proof. induction n; simpl; [ring|]. rewrite IHn. ring. Qed.
Lemma Sum_scal_r n c f : Sum n (fun i => f i * c) = Sum n f * c.
Proof. induction n; simpl; [ring|]. rewrite IHn. ring. Qed.
Lemma Sum_const n c : Sum n (fun _ => c) = INR n * c.
Proof. induction n; [simpl; ring|]. rewrite S_INR. simpl Sum. rewrite IHn. ring. Qed.
Lemma Sum_swap n m (f : nat -> nat -> R) :
  Sum n (fun i => Sum m (fun j => f i j)) = Sum m (fun j => Sum n (fun i => f i j)).
Proof.
  induction n; simpl.
  - symmetry. apply Sum_0. trivial.
  - rewrite IHn, <- Sum_plus. reflexivity.
Qed.
Lemma Sum_lt n f g k : (k < n)%nat -> (forall i, (i < n)%nat -> f i <= g i) -> f k < g k -> Sum n f < Sum n g.
Proof.
  intros Hk H L. induction n; [lia|]. simpl. destruct (Nat.eq_dec k n) as [->|].
  - apply Rplus_le_lt_compat; [apply Sum_le; intros; apply H; lia|exact L].
  - apply Rplus_lt_le_compat; [apply IHn; [lia|intros; apply H; lia]|apply H; lia].
Qed.
Lemma Sum_term n f k : (k < n)%nat -> (forall i, (i < n)%nat -> 0 <= f i) -> f k <= Sum n f.
Proof.
  intros Hk H. induction n; [lia|]. simpl.
  destruct (Nat.eq_dec k n) as [->|].
  - assert (0 <= Sum n f) by (apply Sum_nonneg; intros; apply H; lia). lra.
  - assert (f k <= Sum n f) by (apply IHn; [lia|intros; apply H; lia]).
    assert (0 <= f n) by (apply H; lia). lra.
Qed.
Lemma Sum_delta n k (f : nat -> R) : (k < n)%nat -> Sum n (fun i => if Nat.eqb i k then f i else 0) = f k.
Proof.
  intro H. induction n; [lia|]. simpl. destruct (Nat.eqb_spec n k).
  - subst. rewrite Sum_0; [ring|]. intros i Hi. destruct (Nat.eqb_spec i k); [lia|reflexivity].
  - rewrite IHn; [ring|lia].
Qed.
Lemma Sum_0_inv n f : (forall i, (i < n)%nat -> 0 <= f i) -> Sum n f = 0 -> forall i, (i < n)%nat -> f i = 0.
Proof.
  intros H E i Hi. apply Rle_antisym; [|apply H; exact Hi].
  rewrite <- E. apply Sum_term; assumption.
Qed.
Lemma is_derive_Sum n (f : nat -> R -> R) (d : nat -> R) x :
  (forall i, (i < n)%nat -> is_derive (f i) x (d i)) ->
  is_derive (fun t => Sum n (fun i => f i t)) x (Sum n d).
Proof.
  intro H. induction n; simpl.
  - apply @is_derive_const.
  - apply (is_derive_plus (V := R_NormedModule) (fun t => Sum n (fun i => f i t)) (f n)).
    + apply IHn. intros; apply H; lia.
    + apply H; lia.
Qed.

(** A probability vector of n entries. *)
Definition Law (n : nat) (p : nat -> R) : Prop :=
  (forall i, (i < n)%nat -> 0 <= p i) /\ Sum n p = 1.
(** The mean of x under p. *)
Definition Mean n p x := Sum n (fun i => p i * x i).
(** The dot product of the first n entries. *)
Definition dot n u v := Sum n (fun i => u i * v i).
(** The entropy. *)
Definition Ent n q := - Sum n (fun i => q i * ln (q i)).
(** Softmax of n logits. *)
Definition softmax n z i := exp (z i) / Sum n (fun j => exp (z j)).
(** The row z with t in place k. *)
Definition upd (z : nat -> R) k t := fun j => if Nat.eqb j k then t else z j.
(** M is the maximum of x. *)
Definition is_max n (x : nat -> R) M :=
  (exists i, (i < n)%nat /\ x i = M) /\ (forall i, (i < n)%nat -> x i <= M).

Lemma Law_le1 n p i : Law n p -> (i < n)%nat -> p i <= 1.
Proof. intros [P E] Hi. rewrite <- E. apply Sum_term; assumption. Qed.
Lemma Law_n n p : Law n p -> (0 < n)%nat.
Proof. intros [_ E]. destruct n; [simpl in E; lra|lia]. Qed.

Lemma ln_le_sub1 x : 0 < x -> ln x <= x - 1.
Proof. intro P. pose proof (exp_ineq1_le (ln x)) as Q. rewrite exp_ln in Q; lra. Qed.
Lemma ln_lt_sub1 x : 0 < x -> x <> 1 -> ln x < x - 1.
Proof.
  intros P N. assert (ln x <> 0) as Z.
  { intro E. apply N. apply ln_inv; [exact P|lra|]. rewrite E, ln_1. reflexivity. }
  pose proof (exp_ineq1 (ln x) Z) as Q. rewrite exp_ln in Q; lra.
Qed.
Lemma ln_ge_1sub x : 0 < x -> 1 - / x <= ln x.
Proof.
  intro P. assert (Q0 : 0 < / x) by (apply Rinv_0_lt_compat; exact P).
  pose proof (ln_le_sub1 (/ x) Q0) as Q. rewrite ln_Rinv in Q; lra.
Qed.
Lemma ln_mono a b : 0 < a -> a <= b -> ln a <= ln b.
Proof. intros P [L|E]; [apply Rlt_le, ln_increasing; assumption|subst; lra]. Qed.
Lemma ln_quot a b : 0 < a -> 0 < b -> ln (a / b) = ln a - ln b.
Proof. intros Ha Hb. unfold Rdiv. rewrite ln_mult, ln_Rinv; [ring|exact Hb|exact Ha|apply Rinv_0_lt_compat, Hb]. Qed.
Lemma ln_0 : ln 0 = 0.
Proof. unfold ln. destruct (Rlt_dec 0 0) as [h|]; [exfalso; lra|reflexivity]. Qed.

Lemma upd_same z k j : upd z k (z k) j = z j.
Proof. unfold upd. destruct (Nat.eqb_spec j k); subst; reflexivity. Qed.
Lemma Z_pos n (z : nat -> R) : (0 < n)%nat -> 0 < Sum n (fun i => exp (z i)).
Proof. intro. apply Sum_pos; [assumption|]. intros. apply exp_pos. Qed.
Lemma softmax_law n z : (0 < n)%nat -> Law n (softmax n z).
Proof.
  intro Hn. pose proof (Z_pos n z Hn) as Z. split.
  - intros i _. apply Rlt_le, Rdiv_lt_0_compat; [apply exp_pos|exact Z].
  - unfold softmax, Rdiv. rewrite Sum_scal_r. field. lra.
Qed.
Lemma softmax_pos n z i : (0 < n)%nat -> 0 < softmax n z i.
Proof. intro Hn. apply Rdiv_lt_0_compat; [apply exp_pos|apply (Z_pos n z Hn)]. Qed.

Lemma dot_add d u q r : dot d u (fun i => q i + r i) = dot d u q + dot d u r.
Proof. unfold dot. rewrite <- Sum_plus. apply Sum_ext. intros. ring. Qed.
Lemma dot_sym d u v : dot d u v = dot d v u.
Proof. apply Sum_ext. intros. ring. Qed.
Lemma dot_sub d u v q : dot d (fun i => u i - v i) q = dot d u q - dot d v q.
Proof. unfold dot. rewrite <- Sum_minus. apply Sum_ext. intros. ring. Qed.
Lemma dot_scal_l d c u v : dot d (fun i => c * u i) v = c * dot d u v.
Proof. unfold dot. rewrite <- Sum_scal. apply Sum_ext. intros. ring. Qed.
Lemma dot_scal_r d c u v : dot d u (fun i => c * v i) = c * dot d u v.
Proof. unfold dot. rewrite <- Sum_scal. apply Sum_ext. intros. ring. Qed.
(** The weights of the query q among m keys K 0, ..., K (m-1) in d dimensions, without a scale. *)
Definition weight d m (K : nat -> nat -> R) q := softmax m (fun k => dot d (K k) q).
(** The k-th unit vector. *)
Definition unit_vector (k i : nat) : R := if Nat.eqb k i then 1 else 0.

(* A sum over shuffled indices; tau undoes sigma. *)
Lemma Sum_shuffled n sigma tau (f : nat -> R) : (forall i, (i < n)%nat -> (sigma i < n)%nat /\ tau (sigma i) = i) ->
  (forall j, (j < n)%nat -> (tau j < n)%nat /\ sigma (tau j) = j) -> Sum n (fun i => f (sigma i)) = Sum n f.
Proof.
  intros S T.
  transitivity (Sum n (fun i => Sum n (fun j => if Nat.eqb j (sigma i) then f j else 0))).
  - apply Sum_ext. intros i Hi. symmetry. apply (Sum_delta n (sigma i) f), S, Hi.
  - rewrite Sum_swap. apply Sum_ext. intros j Hj.
    transitivity (Sum n (fun i => if Nat.eqb i (tau j) then f j else 0)); [|apply (Sum_delta n (tau j) (fun _ => f j)), T, Hj].
    apply Sum_ext. intros i Hi.
    destruct (Nat.eqb_spec j (sigma i)) as [E|E], (Nat.eqb_spec i (tau j)) as [F|F]; try reflexivity; exfalso.
    + apply F. rewrite E. symmetry. apply S, Hi.
    + apply E. rewrite F. symmetry. apply T, Hj.
Qed.
