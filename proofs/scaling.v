From Coq Require Import FunctionalExtensionality Reals Lra Lia Psatz.
From Coquelicot Require Import Coquelicot.
From Book Require Import common bilinear.
Open Scope R_scope.
Set Bullet Behavior "Strict Subproofs".

Section Expectation.
Variable Omega : Type.
Variable Has : (Omega -> R) -> Prop.
Variable E : (Omega -> R) -> R.
(** Expectation as a positive linear functional with E 1 = 1 on a space of functions of the outcome, those of
    which Has says that they have one: with all integrable functions, the expectation of any probability space.
    Of independence the moments are used that the hypotheses name. *)
Record Expectation : Prop := {
  Has_plus : forall f g, Has f -> Has g -> Has (fun w => f w + g w);
  Has_scal : forall c f, Has f -> Has (fun w => c * f w);
  Has_one : Has (fun _ => 1);
  E_plus : forall f g, Has f -> Has g -> E (fun w => f w + g w) = E f + E g;
  E_scal : forall c f, Has f -> E (fun w => c * f w) = c * E f;
  E_pos : forall f, Has f -> (forall w, 0 <= f w) -> 0 <= E f;
  E_one : E (fun _ => 1) = 1 }.
Hypothesis EE : Expectation.

Lemma same (f g : Omega -> R) : (forall w, f w = g w) -> f = g.
Proof. apply functional_extensionality. Qed.
Lemma E_ext f g : (forall w, f w = g w) -> E f = E g.
Proof. intro X. rewrite (same f g X). reflexivity. Qed.
Lemma const c : Has (fun _ => c) /\ E (fun _ => c) = c.
Proof.
  rewrite (same (fun _ => c) (fun _ => c * 1)) by (intro; ring).
  split; [apply (Has_scal EE), (Has_one EE)|]. rewrite (E_scal EE), (E_one EE) by apply (Has_one EE). ring.
Qed.
Lemma Sum_expected n (f : nat -> Omega -> R) : (forall i, (i < n)%nat -> Has (f i)) ->
  Has (fun w => Sum n (fun i => f i w)) /\ E (fun w => Sum n (fun i => f i w)) = Sum n (fun i => E (f i)).
Proof.
  intro H. induction n; simpl; [apply const|]. destruct IHn as [I S]; [intros; apply H; lia|].
  split; [apply (Has_plus EE (fun w => Sum n (fun i => f i w)) (f n)); [exact I|apply H; lia]|].
  rewrite (E_plus EE (fun w => Sum n (fun i => f i w)) (f n)), S; [reflexivity|exact I|apply H; lia].
Qed.

(** The variance of X. *)
Definition variance X := E (fun w => (X w - E X) ^ 2).
Lemma square_expected X : Has X -> Has (fun w => X w ^ 2) ->
  Has (fun w => (X w - E X) ^ 2) /\ variance X = E (fun w => X w ^ 2) - E X ^ 2.
Proof.
  intros H1 H2. unfold variance. set (m := E X).
  rewrite (same _ (fun w => X w ^ 2 + (-2 * m * X w + m ^ 2))) by (intro; ring).
  assert (H3 : Has (fun w => -2 * m * X w)) by (apply (Has_scal EE), H1). destruct (const (m ^ 2)) as [H4 Q].
  assert (H5 : Has (fun w => -2 * m * X w + m ^ 2)) by (apply (Has_plus EE (fun w => -2 * m * X w)); assumption).
  split; [apply (Has_plus EE (fun w => X w ^ 2)); assumption|].
  rewrite (E_plus EE (fun w => X w ^ 2) _ H2 H5), (E_plus EE (fun w => -2 * m * X w) _ H3 H4), (E_scal EE _ X H1), Q.
  unfold m. ring.
Qed.
Lemma variance_scal c X : Has X -> Has (fun w => X w ^ 2) -> variance (fun w => c * X w) = c ^ 2 * variance X.
Proof.
  intros H1 H2. unfold variance. rewrite (E_scal EE c X H1), <- (E_scal EE (c ^ 2)) by apply (square_expected X H1 H2).
  apply E_ext. intro. ring.
Qed.

Variable d : nat.
Variables q k : nat -> Omega -> R.
(** The dot product q.k. *)
Definition qk w := Sum d (fun i => q i w * k i w).
(* what must have an expectation, and what is used of independence: products of at most two q's and of as many k's *)
Hypothesis has1 : forall i, (i < d)%nat -> Has (fun w => q i w * k i w).
Hypothesis has2 : forall i j, (i < d)%nat -> (j < d)%nat -> Has (fun w => (q i w * q j w) * (k i w * k j w)).
Hypothesis indep1 : forall i, (i < d)%nat -> E (fun w => q i w * k i w) = E (q i) * E (k i).
Hypothesis indep2 : forall i j, (i < d)%nat -> (j < d)%nat ->
  E (fun w => (q i w * q j w) * (k i w * k j w)) = E (fun w => q i w * q j w) * E (fun w => k i w * k j w).
Let mu (u : nat -> Omega -> R) i := E (u i).
Let cov (u : nat -> Omega -> R) i j := E (fun w => u i w * u j w) - E (u i) * E (u j).
Lemma dot_first : Has qk /\ E qk = Sum d (fun i => mu q i * mu k i).
Proof.
  destruct (Sum_expected d (fun i w => q i w * k i w) has1) as [I S]. split; [exact I|].
  unfold qk. rewrite S. apply Sum_ext. intros i Hi. apply indep1, Hi.
Qed.
Lemma dot_second : Has (fun w => qk w ^ 2) /\
  E (fun w => qk w ^ 2) = Sum d (fun i => Sum d (fun j => E (fun w => q i w * q j w) * E (fun w => k i w * k j w))).
Proof.
  rewrite (same (fun w => qk w ^ 2) (fun w => Sum d (fun i => Sum d (fun j => (q i w * q j w) * (k i w * k j w))))).
  - pose proof (fun i Hi => Sum_expected d (fun j w => (q i w * q j w) * (k i w * k j w)) (fun j Hj => has2 i j Hi Hj)) as S.
    destruct (Sum_expected d (fun i w => Sum d (fun j => (q i w * q j w) * (k i w * k j w)))) as [I T].
    + intros i Hi. apply (S i Hi).
    + split; [exact I|]. rewrite T. apply Sum_ext. intros i Hi. rewrite (proj2 (S i Hi)). apply Sum_ext. intros j Hj. apply indep2; assumption.
  - intro w. unfold qk. simpl. rewrite Rmult_1_r, <- Sum_scal_r. apply Sum_ext. intros i Hi.
    rewrite <- Sum_scal. apply Sum_ext. intros. ring.
Qed.
(** claim dot-variance. In general: tr(cov_q cov_k) + mu_q' cov_k mu_q + mu_k' cov_q mu_k. *)
Theorem dot_variance_general : variance qk =
  Sum d (fun i => Sum d (fun j => cov q i j * cov k i j)) + Sum d (fun i => Sum d (fun j => mu q i * cov k i j * mu q j))
  + Sum d (fun i => Sum d (fun j => mu k i * cov q i j * mu k j)).
Proof.
  destruct dot_first as [I1 M1], dot_second as [I2 M2].
  rewrite (proj2 (square_expected qk I1 I2)), M2, M1. simpl. rewrite Rmult_1_r, <- Sum_scal_r, <- Sum_minus, <- !Sum_plus.
  apply Sum_ext. intros i Hi. rewrite <- Sum_scal, <- Sum_minus, <- !Sum_plus. apply Sum_ext. intros j Hj.
  unfold cov, mu. ring.
Qed.
(** claim dot-variance. For centred entries of variance 1 it is between 0 and d^2. *)
Theorem dot_variance_range : (forall i j, (i < d)%nat -> (j < d)%nat -> Has (fun w => q i w * q j w) /\ Has (fun w => k i w * k j w)) ->
  (forall i, (i < d)%nat -> E (q i) = 0 /\ E (k i) = 0 /\ E (fun w => q i w * q i w) = 1 /\ E (fun w => k i w * k i w) = 1) ->
  0 <= variance qk <= INR d ^ 2.
Proof.
  intros H M. split; [apply (E_pos EE); [apply square_expected; [apply dot_first|apply dot_second]|intro; apply pow2_ge_0]|].
  assert (C : forall u, (forall i j, (i < d)%nat -> (j < d)%nat -> Has (fun w => u i w * u j w)) -> (forall i, (i < d)%nat -> E (fun w => u i w * u i w) = 1) ->
    forall i j, (i < d)%nat -> (j < d)%nat -> -1 <= E (fun w => u i w * u j w) <= 1).
  { intros u Hu V i j Hi Hj.
    assert (S : forall s, 0 <= 1 + (2 * s * E (fun w => u i w * u j w) + s ^ 2 * 1)).
    { intro s. rewrite <- (V i Hi) at 1. rewrite <- (V j Hj), <- (E_scal EE (2 * s)), <- (E_scal EE (s ^ 2)) by (apply Hu; assumption).
      assert (H1 : Has (fun w => 2 * s * (u i w * u j w))) by (apply (Has_scal EE (2 * s) (fun w => u i w * u j w)), Hu; assumption).
      assert (H2 : Has (fun w => s ^ 2 * (u j w * u j w))) by (apply (Has_scal EE (s ^ 2) (fun w => u j w * u j w)), Hu; assumption).
      pose proof (Has_plus EE _ _ H1 H2) as H3. cbv beta in H3.
      rewrite <- (E_plus EE _ _ H1 H2). rewrite <- (E_plus EE (fun w => u i w * u i w) _ (Hu i i Hi Hi) H3).
      apply (E_pos EE).
      - apply (Has_plus EE (fun w => u i w * u i w) _ (Hu i i Hi Hi) H3).
      - intro w. replace (u i w * u i w + (2 * s * (u i w * u j w) + s ^ 2 * (u j w * u j w))) with ((u i w + s * u j w) ^ 2) by ring. apply pow2_ge_0. }
    pose proof (S 1). pose proof (S (-1)). lra. }
  pose proof (C q (fun i j Hi Hj => proj1 (H i j Hi Hj)) (fun i Hi => proj1 (proj2 (proj2 (M i Hi))))) as Cq.
  pose proof (C k (fun i j Hi Hj => proj2 (H i j Hi Hj)) (fun i Hi => proj2 (proj2 (proj2 (M i Hi))))) as Ck.
  rewrite dot_variance_general.
  rewrite (Sum_0 d (fun i => Sum d (fun j => mu q i * cov k i j * mu q j))), (Sum_0 d (fun i => Sum d (fun j => mu k i * cov q i j * mu k j))).
  2,3: intros i Hi; apply Sum_0; intros j Hj; unfold mu; destruct (M i Hi) as [A [B _]]; rewrite ?A, ?B; ring.
  rewrite !Rplus_0_r. apply Rle_trans with (Sum d (fun _ => Sum d (fun _ => 1))).
  - apply Sum_le. intros i Hi. apply Sum_le. intros j Hj. unfold cov. destruct (M i Hi) as [A [B _]]. rewrite A, B.
    rewrite !Rmult_0_l, !Rminus_0_r. pose proof (Cq i j Hi Hj). pose proof (Ck i j Hi Hj). nra.
  - rewrite !Sum_const. right. ring.
Qed.
Hypothesis q_mean : forall i, (i < d)%nat -> E (q i) = 0.
Hypothesis q_cov : forall i j, (i < d)%nat -> (j < d)%nat -> E (fun w => q i w * q j w) = if Nat.eqb j i then 1 else 0.
Hypothesis k_has : forall i, (i < d)%nat -> Has (fun w => k i w ^ 2).
Hypothesis k_norm : E (fun w => Sum d (fun i => k i w ^ 2)) = INR d.

(** claim dot-variance. If q is centred, the mean of q.k is 0. *)
Theorem dot_mean : E qk = 0.
Proof. rewrite (proj2 dot_first). apply Sum_0. intros i Hi. unfold mu. rewrite q_mean by exact Hi. ring. Qed.
(** claim dot-variance. If also E qq' = I and E |k|^2 = d, its variance is d. *)
Theorem dot_variance : variance qk = INR d.
Proof.
  rewrite (proj2 (square_expected qk (proj1 dot_first) (proj1 dot_second))), dot_mean, (proj2 dot_second), <- k_norm.
  rewrite (proj2 (Sum_expected d (fun i w => k i w ^ 2) k_has)). rewrite pow_i, Rminus_0_r by lia. apply Sum_ext. intros i Hi.
  rewrite (E_ext (fun w => k i w ^ 2) (fun w => k i w * k i w)) by (intro; ring).
  rewrite <- (Sum_delta d i (fun j => E (fun w => k i w * k j w)) Hi).
  apply Sum_ext. intros j Hj. rewrite q_cov by assumption. destruct (Nat.eqb j i); ring.
Qed.
(** claim scale-wrong-dim. Divided by c, the variance is d / c^2: for c = d 1/d, for the root of m d/m. *)
Theorem dot_divided c : c <> 0 -> variance (fun w => / c * qk w) = INR d / c ^ 2.
Proof. intro Hc. rewrite variance_scal, dot_variance by (apply dot_first || apply dot_second). field. exact Hc. Qed.
(** claim dot-variance. Divided by the root of d it is 1. *)
Theorem dot_scaled : (0 < d)%nat -> variance (fun w => / sqrt (INR d) * qk w) = 1.
Proof.
  intro Hd. assert (0 < INR d) by (apply lt_0_INR; exact Hd). assert (0 < sqrt (INR d)) by (apply sqrt_lt_R0; assumption).
  rewrite dot_divided, pow2_sqrt by lra. field. lra.
Qed.
End Expectation.

(** Two fair signs: the mean over four outcomes. *)
Definition sign (b : bool) := if b then 1 else -1.
Definition E4 (f : bool * bool -> R) := (f (true, true) + f (true, false) + f (false, true) + f (false, false)) / 4.
(** claim dot-variance. Entries of mean 0 and variance 1 are not enough: where all entries of q are one fair
    sign and all entries of k another, independent one, the variance is d^2. *)
Theorem rank_one d : let q := fun (i : nat) (w : bool * bool) => sign (fst w) in let k := fun (i : nat) (w : bool * bool) => sign (snd w) in
  Expectation _ (fun _ => True) E4 /\ (forall i, E4 (q i) = 0 /\ E4 (k i) = 0 /\ E4 (fun w => q i w ^ 2) = 1 /\ E4 (fun w => k i w ^ 2) = 1) /\
  (forall f g : bool -> R, E4 (fun w => f (fst w) * g (snd w)) = E4 (fun w => f (fst w)) * E4 (fun w => g (snd w))) /\
  variance _ E4 (qk _ d q k) = INR d ^ 2.
Proof.
  intros q k. split; [split; trivial|split; [|split]].
  - intros. unfold E4. field.
  - intros. unfold E4. field.
  - intros f _ H. unfold E4. pose proof (H (true, true)). pose proof (H (true, false)). pose proof (H (false, true)). pose proof (H (false, false)). lra.
  - unfold E4. field.
  - intro i. unfold E4, q, k, sign. simpl. repeat split; field.
  - intros f g. unfold E4. simpl. field.
  - unfold variance, E4, qk, q, k. rewrite !Sum_const. unfold sign. simpl. field.
Qed.
(** claim dot-variance. The other end, for d = 2: q = (s, s) and k = (t, -t) with two independent fair signs
    have q.k = 0 always. *)
Theorem no_variance : let q := fun (i : nat) (w : bool * bool) => sign (fst w) in
  let k := fun (i : nat) (w : bool * bool) => if Nat.eqb i 0 then sign (snd w) else - sign (snd w) in
  (forall i, E4 (q i) = 0 /\ E4 (k i) = 0 /\ E4 (fun w => q i w ^ 2) = 1 /\ E4 (fun w => k i w ^ 2) = 1) /\ variance _ E4 (qk _ 2 q k) = 0.
Proof.
  intros q k. split.
  - intro i. unfold E4, q, k, sign. simpl. destruct (Nat.eqb i 0); repeat split; field.
  - unfold variance, E4, qk, q, k, sign. simpl. field.
Qed.
(** t steps of gradient descent on W_Q and W_K with the learning rate eta, where the loss reads c W_Q W_K'. G t
    is its gradient by that matrix at step t; other parameters may move along. *)
Fixpoint descend d dk c eta (G : nat -> Mat -> Mat) (WQ WK : Mat) t : Mat * Mat :=
  match t with
  | O => (WQ, WK)
  | S s => let (Q, K) := descend d dk c eta G WQ WK s in let D := G s (fun i j => c * prodT dk Q K i j) in
    (fun a b => Q a b - eta * (c * Sum d (fun j => D a j * K j b)), fun a b => K a b - eta * (c * Sum d (fun i => D i a * Q i b)))
  end.
(** claim scale-controls. A factor a^2 on the scores is the same as starting at a W_Q and a W_K with a^2 times
    the learning rate: after every step the one pair is a times the other, so the scores are equal. *)
Theorem scale_is_start_and_step d dk a eta G WQ WK t : (forall s U V, (forall i j, U i j = V i j) -> forall i j, G s U i j = G s V i j) ->
  let scaled := descend d dk (a * a) eta G WQ WK t in
  let folded := descend d dk 1 (a * a * eta) G (fun i j => a * WQ i j) (fun i j => a * WK i j) t in
  (forall i j, fst folded i j = a * fst scaled i j) /\ (forall i j, snd folded i j = a * snd scaled i j) /\
  (forall i j, prodT dk (fst folded) (snd folded) i j = a * a * prodT dk (fst scaled) (snd scaled) i j).
Proof.
  intro Ge.
  assert (P : forall Q K Q' K', (forall i j, Q' i j = a * Q i j) -> (forall i j, K' i j = a * K i j) -> forall i j, prodT dk Q' K' i j = a * a * prodT dk Q K i j).
  { intros Q K Q' K' HQ HK i j. unfold prodT. rewrite <- Sum_scal. apply Sum_ext. intros. rewrite HQ, HK. ring. }
  induction t; intros scaled folded.
  - unfold scaled, folded. simpl. split; [|split]; try reflexivity. apply P; reflexivity.
  - assert (H : (forall i j, fst folded i j = a * fst scaled i j) /\ (forall i j, snd folded i j = a * snd scaled i j)).
    { unfold scaled, folded. simpl descend.
      destruct (descend d dk (a * a) eta G WQ WK t) as [Q K].
      destruct (descend d dk 1 (a * a * eta) G (fun i j => a * WQ i j) (fun i j => a * WK i j) t) as [Q' K'].
      cbv beta iota zeta delta [fst snd] in *. destruct IHt as [HQ [HK HU]].
      assert (E : forall i j, G t (fun i j => 1 * prodT dk Q' K' i j) i j = G t (fun i j => a * a * prodT dk Q K i j) i j).
      { apply Ge. intros. rewrite HU. ring. }
      split; intros i j.
      - rewrite HQ, (Sum_ext d _ (fun l => a * (G t (fun i j => a * a * prodT dk Q K i j) i l * K l j))), Sum_scal; [ring|].
        intros. rewrite E, HK. ring.
      - rewrite HK, (Sum_ext d _ (fun l => a * (G t (fun i j => a * a * prodT dk Q K i j) l i * Q l j))), Sum_scal; [ring|].
        intros. rewrite E, HQ. ring. }
    split; [apply H|split; [apply H|]]. apply P; apply H.
Qed.
