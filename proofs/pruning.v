From Coq Require Import Reals Lra Lia Psatz.
From Coquelicot Require Import Coquelicot.
From Book Require Import common smooth_max entropy bilinear.
Open Scope R_scope.
Set Bullet Behavior "Strict Subproofs".

Lemma dot_le d u v : dot d u v <= sqrt (dot d u u) * sqrt (dot d v v).
Proof.
  rewrite <- sqrt_mult by apply dot_nonneg. apply Rle_trans with (Rabs (dot d u v)); [apply Rle_abs|].
  rewrite <- sqrt_Rsqr_abs. apply sqrt_le_1_alt. pose proof (cauchy_schwarz d u v). unfold Rsqr. lra.
Qed.
(** claim gradient-score-norm. The norm of a mean is at most the mean of the norms: N inputs with the weights p,
    a gradient of d entries each. *)
Theorem norm_of_mean N d p (g : nat -> nat -> R) : Law N p -> let m := fun l => Sum N (fun x => p x * g x l) in
  sqrt (dot d m m) <= Sum N (fun x => p x * sqrt (dot d (g x) (g x))).
Proof.
  intros [P _] m. destruct (sqrt_pos (dot d m m)) as [Q|Q].
  2:{ rewrite <- Q. apply Sum_nonneg. intros. apply Rmult_le_pos; [apply P; assumption|apply sqrt_pos]. }
  apply Rmult_le_reg_l with (1 := Q). rewrite sqrt_sqrt by apply dot_nonneg.
  replace (dot d m m) with (Sum N (fun x => p x * dot d m (g x))) at 1.
  - rewrite <- Sum_scal. apply Sum_le. intros x Hx. pose proof (dot_le d m (g x)). pose proof (P x Hx).
    replace (sqrt (dot d m m) * (p x * sqrt (dot d (g x) (g x)))) with (p x * (sqrt (dot d m m) * sqrt (dot d (g x) (g x)))) by ring.
    apply Rmult_le_compat_l; assumption.
  - unfold dot. rewrite (Sum_ext d (fun l => m l * m l) (fun l => Sum N (fun x => p x * (m l * g x l)))).
    + rewrite Sum_swap. apply Sum_ext. intros. symmetry. apply Sum_scal.
    + intros l _. unfold m at 2. rewrite <- Sum_scal. apply Sum_ext. intros. ring.
Qed.
(** <W, G>, the sum of the products of the entries of two d x d matrices. *)
Definition inner d (W G : Mat) := Sum d (fun i => Sum d (fun j => G i j * W i j)).
(** claim gradient-score-meaning. If F has the gradient G at W, the derivative by a factor on W is <W, G> at 1. *)
Theorem factor_derivative d F W G : extensional F -> gradient d F W G ->
  is_derive (fun xi => F (fun i j => xi * W i j)) 1 (inner d W G).
Proof.
  intros Fe Gr. pose proof (Gr W) as D. replace 0 with (1 - 1) in D by ring.
  assert (L : is_derive (fun x => x - 1) 1 1) by (auto_derive; [trivial|ring]).
  pose proof (is_derive_comp (fun t => F (fun i j => W i j + t * W i j)) (fun x => x - 1) 1 _ _ D L) as Q.
  unfold inner. match type of Q with is_derive _ _ ?v => replace v with (Sum d (fun i => Sum d (fun j => G i j * W i j))) in Q
    by (unfold scal; simpl; unfold mult; simpl; ring) end.
  revert Q. apply is_derive_ext. intro x. apply Fe. intros. ring.
Qed.
(** claim gradient-score-meaning. So two matrices of which the loss reads only a product have the same <W, G>:
    W_Q and W_K, of which it reads W_Q W_K'. *)
Theorem same_inner d dk F WQ WK GQ GK : extensional F ->
  gradient d (fun W => F (prodT dk W WK)) WQ GQ -> gradient d (fun W => F (prodT dk WQ W)) WK GK -> inner d WQ GQ = inner d WK GK.
Proof.
  intros Fe HQ HK.
  assert (E : forall U V, (forall i j, U i j = V i j) -> forall W i j, prodT dk U W i j = prodT dk V W i j /\ prodT dk W U i j = prodT dk W V i j).
  { intros U V H W i j. split; apply Sum_ext; intros; rewrite H; reflexivity. }
  assert (DQ := factor_derivative d _ WQ GQ (fun U V H => Fe _ _ (fun i j => proj1 (E U V H WK i j))) HQ).
  assert (DK := factor_derivative d _ WK GK (fun U V H => Fe _ _ (fun i j => proj2 (E U V H WQ i j))) HK).
  rewrite <- (is_derive_unique _ _ _ DQ), <- (is_derive_unique _ _ _ DK). apply Derive_ext. intro x. apply Fe.
  intros i j. apply Sum_ext. intros. ring.
Qed.
(** claim gradient-score-meaning. W_V and W_O likewise: of A X W_V W_O a factor on either is one on the output
    of the head. *)
Theorem gate_either n d dv (A X WV WO : Mat) xi t c :
  let head WV WO := Sum n (fun s => A t s * Sum dv (fun k => Sum d (fun l => X s l * WV l k) * WO k c)) in
  head (fun l k => xi * WV l k) WO = xi * head WV WO /\ head WV (fun k c => xi * WO k c) = xi * head WV WO.
Proof.
  intro head. unfold head. rewrite <- Sum_scal. split; apply Sum_ext; intros s _.
  - rewrite (Sum_ext dv _ (fun k => xi * (Sum d (fun l => X s l * WV l k) * WO k c))).
    + rewrite Sum_scal. ring.
    + intros k _. rewrite <- Rmult_assoc, <- Sum_scal. f_equal. apply Sum_ext. intros. ring.
  - rewrite (Sum_ext dv _ (fun k => xi * (Sum d (fun l => X s l * WV l k) * WO k c))) by (intros; ring). rewrite Sum_scal. ring.
Qed.
(** The cross-entropy H(p, q). *)
Definition cross n p q := - Sum n (fun j => p j * ln (q j)).
(** claim head-cross-entropy. H(p, q) = H(p) + KL(p || q), where q is positive. *)
Theorem cross_entropy n p q : (forall j, (j < n)%nat -> 0 <= p j) -> (forall j, (j < n)%nat -> 0 < q j) ->
  cross n p q = Ent n p + KL n p q.
Proof.
  intros P Q. assert (S : Sum n (fun j => p j * ln (q j)) = Sum n (fun j => p j * ln (p j)) - KL n p q).
  { unfold KL. rewrite <- Sum_minus. apply Sum_ext. intros j Hj. destruct (P j Hj) as [R|<-]; [|ring].
    rewrite ln_quot by (assumption || apply Q, Hj). ring. }
  unfold cross, Ent. rewrite S. ring.
Qed.
(** claim head-cross-entropy. The divergence from a positive law is 0 for equal laws alone. *)
Theorem divergence_0 n p q : Law n p -> Law n q -> (forall j, (j < n)%nat -> 0 < q j) ->
  KL n p q = 0 <-> forall j, (j < n)%nat -> p j = q j.
Proof.
  intros Lp Lq Q. split; [apply gibbs_eq; assumption|]. intro E. apply Sum_0. intros j Hj. rewrite E by exact Hj. pose proof (Q j Hj).
  replace (q j / q j) with 1 by (field; lra). rewrite ln_1. ring.
Qed.
Lemma pinsker_point x : 0 < x -> 3 * (x - 1) ^ 2 / (2 * x + 4) <= x * ln x - x + 1.
Proof.
  intro Hx. set (f := fun x => x * ln x - x + 1 - 3 * (x - 1) ^ 2 / (2 * x + 4)).
  set (d := fun x => ln x - 3 / 2 + 27 / (2 * (x + 2) ^ 2)).
  assert (D : forall t, 0 < t -> is_derive f t (d t)) by (intros t Ht; unfold f, d; auto_derive; [split; [lra|split; [lra|trivial]]|field; lra]).
  assert (I : forall s t, 0 < s -> s <= t -> d s <= d t).
  { intros s t Hs L. apply (increasing_of_derive d (fun x => / x - 27 / (x + 2) ^ 3)); [| |exact L].
    - intros u Hu. unfold d. auto_derive; [split; [lra|split; [|trivial]]|].
      + apply Rgt_not_eq. assert (0 < (u + 2) ^ 2) by (apply pow_lt; lra). simpl in *. lra.
      + field. lra.
    - intros u Hu. assert (P : 0 < (u + 2) ^ 3) by (apply pow_lt; lra).
      assert (E : / u - 27 / (u + 2) ^ 3 = (u - 1) ^ 2 * (u + 8) * / (u * (u + 2) ^ 3)) by (field; lra).
      rewrite E. apply Rmult_le_pos; [apply Rmult_le_pos; [apply pow2_ge_0|lra]|].
      apply Rlt_le, Rinv_0_lt_compat, Rmult_lt_0_compat; lra. }
  pose proof (tangent_above (fun x => - f x) (fun x => - d x) 1 x) as T.
  specialize (T (fun t Ht => is_derive_opp f t (d t) (D t Ht)) ltac:(intros s t Hs L; pose proof (I s t Hs L); lra) Rlt_0_1 Hx). cbv beta in T.
  replace (f 1) with 0 in T by (unfold f; rewrite ln_1; field). replace (d 1) with 0 in T by (unfold d; rewrite ln_1; field).
  unfold f in T. lra.
Qed.
Lemma pinsker_pair p q : 0 <= p -> 0 < q -> 3 * (p - q) ^ 2 / (2 * p + 4 * q) <= p * ln (p / q) - p + q.
Proof.
  intros [Hp|<-] Hq.
  - pose proof (pinsker_point (p / q) ltac:(apply Rdiv_lt_0_compat; assumption)) as T.
    apply Rmult_le_compat_l with (r := q) in T; [|lra].
    replace (q * (3 * (p / q - 1) ^ 2 / (2 * (p / q) + 4))) with (3 * (p - q) ^ 2 / (2 * p + 4 * q)) in T by (field; lra).
    replace (q * (p / q * ln (p / q) - p / q + 1)) with (p * ln (p / q) - p + q) in T by (field; lra). exact T.
  - replace (3 * (0 - q) ^ 2 / (2 * 0 + 4 * q)) with (3 / 4 * q) by (field; lra). lra.
Qed.
(** claim head-cross-entropy. Pinsker's inequality: the sum of |p_j - q_j| is at most the root of 2 KL(p || q). *)
Theorem pinsker n p q : Law n p -> Law n q -> (forall j, (j < n)%nat -> 0 < q j) ->
  Sum n (fun j => Rabs (p j - q j)) <= sqrt (2 * KL n p q).
Proof.
  intros [P Ep] [_ Eq] Q.
  set (u := fun j => sqrt ((2 * p j + 4 * q j) / 3)). set (v := fun j => Rabs (p j - q j) / u j).
  assert (W : forall j, (j < n)%nat -> 0 < (2 * p j + 4 * q j) / 3) by (intros j Hj; pose proof (P j Hj); pose proof (Q j Hj); lra).
  assert (U : forall j, (j < n)%nat -> 0 < u j) by (intros j Hj; apply sqrt_lt_R0, W, Hj).
  assert (UU : forall j, (j < n)%nat -> u j * u j = (2 * p j + 4 * q j) / 3) by (intros j Hj; apply sqrt_sqrt, Rlt_le, W, Hj).
  assert (S : Sum n (fun j => Rabs (p j - q j)) = dot n u v).
  { apply Sum_ext. intros j Hj. unfold v. pose proof (U j Hj). field. lra. }
  assert (DU : dot n u u = 2).
  { unfold dot. rewrite (Sum_ext n _ (fun j => 2 / 3 * p j + 4 / 3 * q j)) by (intros j Hj; rewrite UU by exact Hj; field).
    rewrite Sum_plus, !Sum_scal, Ep, Eq. field. }
  assert (DV : dot n v v <= KL n p q).
  { apply Rle_trans with (Sum n (fun j => p j * ln (p j / q j) - p j + q j)).
    - apply Sum_le. intros j Hj. eapply Rle_trans; [|apply (pinsker_pair (p j) (q j) (P j Hj) (Q j Hj))]. right.
      unfold v. replace (Rabs (p j - q j) / u j * (Rabs (p j - q j) / u j)) with (Rabs (p j - q j) ^ 2 / (u j * u j)) by (pose proof (U j Hj); field; lra).
      rewrite pow2_abs, UU by exact Hj. pose proof (W j Hj). field. lra.
    - unfold KL. rewrite Sum_plus, Sum_minus, Ep, Eq. lra. }
  rewrite S. eapply Rle_trans; [apply dot_le|]. rewrite DU, <- sqrt_mult by (lra || apply dot_nonneg). apply sqrt_le_1_alt. lra.
Qed.
(** claim head-cross-entropy. So a divergence of at most D moves an output by at most the root of 2D times the
    length R of the longest value. *)
Theorem output_moves n d p q (v : nat -> nat -> R) R D : Law n p -> Law n q -> (forall j, (j < n)%nat -> 0 < q j) ->
  (forall j, (j < n)%nat -> sqrt (dot d (v j) (v j)) <= R) -> KL n p q <= D ->
  let m := fun l => Sum n (fun j => p j * v j l) - Sum n (fun j => q j * v j l) in
  sqrt (dot d m m) <= sqrt (2 * D) * R.
Proof.
  intros Lp Lq Q B HD m. pose proof (pinsker n p q Lp Lq Q) as Pi.
  assert (Hn := Law_n _ _ Lp). assert (R0 : 0 <= R) by (eapply Rle_trans; [apply sqrt_pos|apply (B 0%nat Hn)]).
  assert (K : sqrt (2 * KL n p q) <= sqrt (2 * D)) by (apply sqrt_le_1_alt; lra).
  destruct (sqrt_pos (dot d m m)) as [Z|Z]; [|rewrite <- Z; apply Rmult_le_pos; [apply sqrt_pos|exact R0]].
  apply Rle_trans with (Sum n (fun j => Rabs (p j - q j)) * R); [|apply Rmult_le_compat_r; lra].
  apply Rmult_le_reg_l with (1 := Z). rewrite sqrt_sqrt by apply dot_nonneg.
  replace (dot d m m) with (Sum n (fun j => (p j - q j) * dot d m (v j))) at 1.
  - rewrite <- Sum_scal_r, <- Sum_scal. apply Sum_le. intros j Hj.
    apply Rle_trans with (Rabs (p j - q j) * (sqrt (dot d m m) * R)); [|right; ring].
    eapply Rle_trans; [apply Rle_abs|]. rewrite Rabs_mult. apply Rmult_le_compat_l; [apply Rabs_pos|].
    apply Rle_trans with (sqrt (dot d m m) * sqrt (dot d (v j) (v j))).
    + apply Rabs_le. split; [|apply dot_le].
      pose proof (dot_le d m (fun l => -1 * v j l)) as N. rewrite !dot_scal_r, dot_scal_l in N.
      replace (-1 * (-1 * dot d (v j) (v j))) with (dot d (v j) (v j)) in N by ring. lra.
    + apply Rmult_le_compat_l; [lra|apply B, Hj].
  - unfold dot. rewrite (Sum_ext d (fun l => m l * m l) (fun l => Sum n (fun j => (p j - q j) * (m l * v j l)))).
    + rewrite Sum_swap. apply Sum_ext. intros. symmetry. apply Sum_scal.
    + intros l _. unfold m at 2. rewrite <- Sum_minus, <- Sum_scal. apply Sum_ext. intros. ring.
Qed.
