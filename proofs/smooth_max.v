From Coq Require Import Reals Lra Lia Psatz.
From Coquelicot Require Import Coquelicot.
From Book Require Import common certify softmax.
Open Scope R_scope.
Set Bullet Behavior "Strict Subproofs".

(** The smooth maximum LSE_k of n numbers. *)
Definition LSE n k x := / k * ln (Sum n (fun i => exp (k * x i))).
(** softmax(kx). *)
Definition sharp n k x := softmax n (fun i => k * x i).
(** The divergence of q from p; p is positive where it is used. *)
Definition KL n q p := Sum n (fun i => q i * ln (q i / p i)).

Lemma sharp_law n k x : (0 < n)%nat -> Law n (sharp n k x).
Proof. apply softmax_law. Qed.
Lemma sharp_pos n k x i : (0 < n)%nat -> 0 < sharp n k x i.
Proof. apply softmax_pos. Qed.
(** claim smooth-max-n. LSE is at least the maximum. *)
Theorem LSE_lower n k x M : 0 < k -> is_max n x M -> M <= LSE n k x.
Proof.
  intros Hk [[i [Hi E]] _]. unfold LSE.
  apply Rmult_le_reg_l with k; [exact Hk|]. rewrite <- Rmult_assoc, Rinv_r, Rmult_1_l by lra.
  rewrite <- (ln_exp (k * M)), <- E. apply ln_mono; [apply exp_pos|].
  apply (Sum_term n (fun i => exp (k * x i))); [exact Hi|]. intros. apply Rlt_le, exp_pos.
Qed.
(** claim smooth-max-n. LSE is at most the maximum plus ln n / k. *)
Theorem LSE_upper n k x M : 0 < k -> is_max n x M -> LSE n k x <= M + ln (INR n) / k.
Proof.
  intros Hk [[i0 [Hi0 _]] B]. unfold LSE.
  assert (Pn : 0 < INR n) by (apply lt_0_INR; lia).
  apply Rmult_le_reg_l with k; [exact Hk|]. rewrite <- Rmult_assoc, Rinv_r, Rmult_1_l by lra.
  replace (k * (M + ln (INR n) / k)) with (ln (INR n * exp (k * M))).
  2:{ rewrite ln_mult, ln_exp; [field; lra|exact Pn|apply exp_pos]. }
  apply ln_mono; [apply (Z_pos n (fun i => k * x i)); lia|].
  rewrite <- Sum_const. apply Sum_le. intros i Hi.
  destruct (B i Hi) as [L|E]; [apply Rlt_le, exp_increasing; nra|rewrite E; lra].
Qed.

(** claim smooth-max-n. From two entries on LSE is more than the maximum. *)
Theorem LSE_lower_strict n k x M : (2 <= n)%nat -> 0 < k -> is_max n x M -> M < LSE n k x.
Proof.
  intros Hn Hk [[i [Hi E]] _]. unfold LSE.
  apply Rmult_lt_reg_l with k; [exact Hk|]. rewrite <- Rmult_assoc, Rinv_r, Rmult_1_l by lra.
  rewrite <- (ln_exp (k * M)), <- E. apply ln_increasing; [apply exp_pos|].
  rewrite <- (Sum_delta n i (fun j => exp (k * x j)) Hi).
  assert (exists j, (j < n)%nat /\ j <> i) as [j [Hj N]].
  { destruct (Nat.eq_dec i 0) as [->|]; [exists 1%nat|exists 0%nat]; lia. }
  apply (Sum_lt n _ _ j Hj).
  - intros l _. destruct (Nat.eqb l i); [lra|apply Rlt_le, exp_pos].
  - cbv beta. destruct (Nat.eqb_spec j i); [contradiction|apply exp_pos].
Qed.
(** claim smooth-max-n. One entry is its own LSE. *)
Theorem LSE_one k x : 0 < k -> LSE 1 k x = x 0%nat.
Proof. intro Hk. unfold LSE. simpl Sum. rewrite Rplus_0_l, ln_exp. field. lra. Qed.
(** claim smooth-max-n. Gibbs' inequality: a divergence from a positive law is not negative. *)
Theorem gibbs n p q : Law n p -> Law n q -> (forall i, (i < n)%nat -> 0 < p i) ->
  0 <= KL n q p.
Proof.
  unfold KL. intros [_ Ep] [Qp Eq] Pp.
  apply Rle_trans with (Sum n (fun i => q i - p i)).
  - rewrite Sum_minus, Ep, Eq. lra.
  - apply Sum_le. intros i Hi. pose proof (Pp i Hi) as P.
    destruct (Qp i Hi) as [Q|Q].
    + assert (D : 0 < q i / p i) by (apply Rdiv_lt_0_compat; assumption).
      pose proof (ln_ge_1sub _ D) as L.
      apply Rle_trans with (q i * (1 - / (q i / p i))); [right; field; lra|].
      apply Rmult_le_compat_l; lra.
    + rewrite <- Q, Rmult_0_l. lra.
Qed.
(** claim smooth-max-n. It is 0 for equal laws only. *)
Theorem gibbs_eq n p q : Law n p -> Law n q -> (forall i, (i < n)%nat -> 0 < p i) ->
  KL n q p = 0 -> forall i, (i < n)%nat -> q i = p i.
Proof.
  unfold KL. intros [_ Ep] [Qp Eq] Pp E.
  assert (T : forall i, (i < n)%nat -> q i * ln (q i / p i) - (q i - p i) = 0).
  { apply Sum_0_inv.
    - intros i Hi. pose proof (Pp i Hi) as P. destruct (Qp i Hi) as [Q|Q].
      + assert (D : 0 < q i / p i) by (apply Rdiv_lt_0_compat; assumption).
        pose proof (ln_ge_1sub _ D) as L.
        apply Rmult_le_compat_l with (r := q i) in L; [|lra].
        replace (q i * (1 - / (q i / p i))) with (q i - p i) in L by (field; lra). lra.
      + rewrite <- Q, Rmult_0_l. lra.
    - rewrite !Sum_minus, Ep, Eq, E. lra. }
  intros i Hi. pose proof (Pp i Hi) as P. destruct (Qp i Hi) as [Q|Q].
  - destruct (Req_dec (q i) (p i)) as [|N]; [assumption|exfalso].
    assert (D : 0 < p i / q i) by (apply Rdiv_lt_0_compat; assumption).
    assert (D1 : p i / q i <> 1) by (intro F; apply N; apply Rmult_eq_reg_r with (/ q i); [|apply Rinv_neq_0_compat; lra]; unfold Rdiv in F; rewrite F; field; lra).
    pose proof (ln_lt_sub1 _ D D1) as L.
    pose proof (T i Hi) as Ti. replace (q i / p i) with (/ (p i / q i)) in Ti by (field; lra).
    rewrite ln_Rinv in Ti by assumption.
    apply Rmult_lt_compat_l with (r := q i) in L; [|exact Q].
    replace (q i * (p i / q i - 1)) with (p i - q i) in L by (field; lra). lra.
  - pose proof (T i Hi) as Ti. rewrite <- Q in Ti |- *. lra.
Qed.

(** claim smooth-max-n. By how much LSE exceeds the mean plus H/k: a divergence over k. *)
Theorem LSE_KL n k x q : 0 < k -> Law n q ->
  LSE n k x - (Mean n q x + Ent n q / k) = / k * KL n q (sharp n k x).
Proof.
  intros Hk Q. pose proof (Law_n _ _ Q) as Hn. destruct Q as [Qp Eq].
  pose proof (Z_pos n (fun i => k * x i) Hn) as Z. unfold KL, LSE, Mean, Ent.
  set (L := ln _).
  rewrite (Sum_ext n (fun i => q i * ln (q i / sharp n k x i))
             (fun i => q i * ln (q i) - k * (q i * x i) + q i * L)).
  - rewrite Sum_plus, Sum_minus, Sum_scal, Sum_scal_r, Eq. field. lra.
  - intros i Hi. destruct (Qp i Hi) as [P|P].
    + unfold sharp, softmax, L, Rdiv. rewrite !Rinv_mult, Rinv_inv.
      rewrite !ln_mult, ln_Rinv, ln_exp; try ring; try assumption; try apply exp_pos; try apply Rinv_0_lt_compat; try apply exp_pos.
      apply Rmult_lt_0_compat; [apply Rinv_0_lt_compat, exp_pos|exact Z].
    + rewrite <- P. ring.
Qed.
(** claim smooth-max-n. LSE is at least the mean under any law q plus its entropy over k. *)
Theorem LSE_gibbs n k x q : 0 < k -> Law n q -> Mean n q x + Ent n q / k <= LSE n k x.
Proof.
  intros Hk Q. pose proof (Law_n _ _ Q) as Hn.
  pose proof (LSE_KL n k x q Hk Q) as E.
  pose proof (gibbs n (sharp n k x) q (sharp_law n k x Hn) Q (fun i _ => sharp_pos n k x i Hn)) as G.
  apply Rmult_le_compat_l with (r := / k) in G; [|apply Rlt_le, Rinv_0_lt_compat; exact Hk]. lra.
Qed.
Lemma LSE_gibbs_only n k x q : 0 < k -> Law n q -> Mean n q x + Ent n q / k = LSE n k x ->
  forall i, (i < n)%nat -> q i = sharp n k x i.
Proof.
  intros Hk Q E0. pose proof (Law_n _ _ Q) as Hn.
  pose proof (LSE_KL n k x q Hk Q) as E. 
  apply gibbs_eq; try assumption; [apply softmax_law, Hn|intros; apply softmax_pos, Hn|].
  apply Rmult_eq_reg_l with (/ k); [lra|apply Rinv_neq_0_compat; lra].
Qed.
(** claim smooth-max-n. With equality if and only if q = softmax(kx). *)
Theorem LSE_gibbs_equality n k x q : 0 < k -> Law n q ->
  Mean n q x + Ent n q / k = LSE n k x <-> forall i, (i < n)%nat -> q i = sharp n k x i.
Proof.
  intros Hk Q. split; [apply LSE_gibbs_only; assumption|]. intro E.
  pose proof (LSE_KL n k x q Hk Q) as D. pose proof (Law_n _ _ Q) as Hn.
  assert (Z : KL n q (sharp n k x) = 0).
  { unfold KL. apply Sum_0. intros i Hi. rewrite E by exact Hi. pose proof (sharp_pos n k x i Hn).
    replace (sharp n k x i / sharp n k x i) with 1 by (field; lra). rewrite ln_1. ring. }
  rewrite Z in D. lra.
Qed.
(** claim smooth-max-n. The gradient of LSE is softmax(kx). *)
Theorem LSE_gradient n k x j : (j < n)%nat -> 0 < k -> is_derive (fun t => LSE n k (upd x j t)) (x j) (sharp n k x j).
Proof.
  intros Hj Hk. unfold LSE, sharp, softmax.
  assert (U : forall i, upd x j (x j) i = x i) by (intro i; apply upd_same).
  assert (ZU : Sum n (fun i => exp (k * upd x j (x j) i)) = Sum n (fun i => exp (k * x i))) by (apply Sum_ext; intros; rewrite U; reflexivity).
  assert (Z : 0 < Sum n (fun i => exp (k * x i))) by (apply (Z_pos n (fun i => k * x i)); lia).
  assert (D : is_derive (fun t => Sum n (fun i => exp (k * upd x j t i))) (x j) (k * exp (k * x j))).
  { rewrite <- (Sum_delta n j (fun i => k * exp (k * x i)) Hj).
    apply (is_derive_Sum n (fun i t => exp (k * upd x j t i))). intros i Hi. unfold upd.
    destruct (Nat.eqb_spec i j); [subst; auto_derive; [trivial|ring]|auto_derive; [trivial|ring]]. }
  assert (L : is_derive ln (Sum n (fun i => exp (k * upd x j (x j) i))) (/ Sum n (fun i => exp (k * x i)))).
  { rewrite ZU. auto_derive; [exact Z|field; lra]. }
  pose proof (is_derive_comp ln _ (x j) _ _ L D) as Q.
  pose proof (is_derive_scal _ (x j) (/ k) _ Q) as Q1.
  replace (exp (k * x j) / Sum n (fun i => exp (k * x i))) with (/ k * scal (k * exp (k * x j)) (/ Sum n (fun i => exp (k * x i)))).
  - exact Q1.
  - unfold scal; simpl; unfold mult; simpl. field. lra.
Qed.
(** claim smooth-max-n. The upper bound is attained if and only if all entries are equal. *)
Theorem LSE_upper_equality n k x M : 0 < k -> is_max n x M ->
  LSE n k x = M + ln (INR n) / k <-> forall i, (i < n)%nat -> x i = M.
Proof.
  intros Hk [[i0 [Hi0 E0]] Bd]. assert (Pn : 0 < INR n) by (apply lt_0_INR; lia).
  assert (Z : 0 < Sum n (fun i => exp (k * x i))) by (apply (Z_pos n (fun i => k * x i)); lia).
  assert (Q : LSE n k x = M + ln (INR n) / k <-> Sum n (fun i => exp (k * x i)) = INR n * exp (k * M)).
  { unfold LSE. split; intro X.
    - apply ln_inv; [exact Z|apply Rmult_lt_0_compat; [exact Pn|apply exp_pos]|].
      rewrite ln_mult, ln_exp by (exact Pn || apply exp_pos).
      apply Rmult_eq_reg_l with (/ k); [rewrite X; field; lra|apply Rinv_neq_0_compat; lra].
    - rewrite X, ln_mult, ln_exp by (exact Pn || apply exp_pos). field. lra. }
  rewrite Q. split.
  - intros X. assert (T : forall i, (i < n)%nat -> exp (k * M) - exp (k * x i) = 0).
    { apply Sum_0_inv.
      - intros i Hi. destruct (Bd i Hi) as [L|L]; [|rewrite L; lra].
        assert (exp (k * x i) < exp (k * M)) by (apply exp_increasing; nra). lra.
      - rewrite Sum_minus, Sum_const, X. ring. }
    intros i Hi. apply Rmult_eq_reg_l with k; [|lra]. apply exp_inv. pose proof (T i Hi). lra.
  - intro X. rewrite <- Sum_const. apply Sum_ext. intros i Hi. rewrite X by exact Hi. reflexivity.
Qed.
(** claim smooth-max-n. Its Hessian is k times diag(y) - y y', with y = softmax(kx). *)
Theorem LSE_hessian n k x i j : (i < n)%nat -> (j < n)%nat ->
  is_derive (fun t => sharp n k (upd x j t) i) (x j) (k * J (sharp n k x) i j).
Proof.
  intros Hi Hj. pose proof (softmax_derivative n (fun l => k * x l) i j Hj Hi) as Q.
  assert (L : is_derive (fun t => k * t) (x j) k) by (auto_derive; [trivial|ring]).
  pose proof (is_derive_comp (fun s => softmax n (upd (fun l => k * x l) j s) i) (fun t => k * t) (x j) _ _ Q L) as D.
  revert D. apply is_derive_ext. intro t. unfold sharp, softmax.
  assert (U : forall l, upd (fun l => k * x l) j (k * t) l = k * upd x j t l) by (intro l; unfold upd; destruct (Nat.eqb l j); reflexivity).
  rewrite U, (Sum_ext n (fun l => exp (upd (fun m => k * x m) j (k * t) l)) (fun l => exp (k * upd x j t l))); [reflexivity|].
  intros l _. rewrite U. reflexivity.
Qed.
(** claim smooth-max-sign. A constant added to all entries is added to LSE. *)
Theorem LSE_shift n k x c : (0 < n)%nat -> 0 < k -> LSE n k (fun i => x i + c) = LSE n k x + c.
Proof.
  intros Hn Hk. unfold LSE. pose proof (Z_pos n (fun i => k * x i) Hn) as Z.
  rewrite (Sum_ext n _ (fun i => exp (k * x i) * exp (k * c))) by (intros; rewrite <- exp_plus; f_equal; ring).
  rewrite Sum_scal_r, ln_mult, ln_exp by (exact Z || apply exp_pos). field. lra.
Qed.
(** The note's first smooth |x|, and what is left when the 2 is dropped. *)
Definition abs_f k x := / k * ln (2 + exp (k * x) + exp (- (k * x))).
Definition abs_g k x := / k * ln (exp (k * x) + exp (- (k * x))).

(** claim smooth-abs. The second smooth |x| is |x| + ln(1 + exp(-2k|x|)) / k. *)
Theorem abs_g_error k x : 0 < k -> abs_g k x = Rabs x + / k * ln (1 + exp (- (2 * k * Rabs x))).
Proof.
  intro Hk. unfold abs_g.
  assert (S : forall y, 0 <= y -> / k * ln (exp (k * y) + exp (- (k * y))) = y + / k * ln (1 + exp (- (2 * k * y)))).
  { intros y _. replace (exp (k * y) + exp (- (k * y))) with (exp (k * y) * (1 + exp (- (2 * k * y)))).
    - rewrite ln_mult, ln_exp; [field; lra|apply exp_pos|pose proof (exp_pos (- (2 * k * y))); lra].
    - rewrite Rmult_plus_distr_l, <- exp_plus, Rmult_1_r. f_equal. f_equal. ring. }
  destruct (Rle_dec 0 x) as [P|P].
  - rewrite Rabs_right by lra. apply S, P.
  - rewrite Rabs_left by lra. rewrite <- S by lra. f_equal. f_equal. rewrite Rplus_comm. f_equal; f_equal; ring.
Qed.
(** claim smooth-abs. Dropping the 2 is the same as doubling k. *)
Theorem abs_double k x : 0 < k -> abs_g k x = abs_f (2 * k) x.
Proof.
  intro Hk. unfold abs_f, abs_g. set (u := exp (k * x)). set (v := exp (- (k * x))).
  assert (Pu : 0 < u) by apply exp_pos. assert (Pv : 0 < v) by apply exp_pos.
  assert (UV : u * v = 1) by (unfold u, v; rewrite <- exp_plus, Rplus_opp_r; apply exp_0).
  replace (exp (2 * k * x)) with (u * u) by (unfold u; rewrite <- exp_plus; f_equal; ring).
  replace (exp (- (2 * k * x))) with (v * v) by (unfold v; rewrite <- exp_plus; f_equal; ring).
  replace (2 + u * u + v * v) with ((u + v) * (u + v)) by (replace 2 with (2 * (u * v)) by lra; ring).
  rewrite ln_mult by lra. field. lra.
Qed.
(** claim smooth-abs. The first smooth |x| is |x| + 2 ln(1 + exp(-k|x|)) / k. *)
Theorem abs_f_error k x : 0 < k -> abs_f k x = Rabs x + 2 / k * ln (1 + exp (- (k * Rabs x))).
Proof.
  intro Hk. pose proof (abs_g_error (k / 2) x ltac:(lra)) as Q. rewrite abs_double in Q by lra.
  replace (2 * (k / 2)) with k in Q by field. rewrite Q. replace (/ (k / 2)) with (2 / k) by (field; lra). reflexivity.
Qed.
(** claim smooth-abs. With theta = 1 / (1 + exp(-kx)), the first is an integral of 2 theta - 1: its slope. *)
Theorem abs_f_slope k x : 0 < k -> is_derive (abs_f k) x (2 * (1 / (1 + exp (- (k * x)))) - 1).
Proof.
  intro Hk. unfold abs_f. pose proof (exp_pos (k * x)) as P. pose proof (exp_pos (- (k * x))) as Q.
  auto_derive; [lra|]. rewrite exp_Ropp in *. field. repeat split; nra.
Qed.
Lemma ln1exp t : 0 <= t -> 0 < ln (1 + exp (- t)) <= ln 2 /\ (ln (1 + exp (- t)) = ln 2 -> t = 0).
Proof.
  intro Ht. pose proof (exp_pos (- t)) as P. split; [split|].
  - rewrite <- ln_1. apply ln_increasing; lra.
  - apply ln_mono; [lra|]. destruct Ht as [Ht|Ht].
    + assert (exp (- t) < exp 0) by (apply exp_increasing; lra). rewrite exp_0 in H. lra.
    + subst. rewrite Ropp_0, exp_0. lra.
  - intro E. apply ln_inv in E; [|lra|lra]. assert (- t = 0) by (apply exp_inv; rewrite exp_0; lra). lra.
Qed.
(** claim smooth-abs. Its error is positive, and at most 2 ln 2 / k. *)
Theorem abs_f_bounds k x : 0 < k -> 0 < abs_f k x - Rabs x <= 2 * ln 2 / k.
Proof.
  intro Hk. rewrite abs_f_error by exact Hk. pose proof (Rabs_pos x).
  destruct (ln1exp (k * Rabs x)) as [[L U] _]; [nra|]. assert (0 < 2 / k) by (apply Rdiv_lt_0_compat; lra).
  replace (2 * ln 2 / k) with (2 / k * ln 2) by (field; lra). split; nra.
Qed.
(** claim smooth-abs. That of the second is at most ln 2 / k, with equality at 0 only. *)
Theorem abs_g_bounds k x : 0 < k ->
  0 < abs_g k x - Rabs x <= ln 2 / k /\ (abs_g k x - Rabs x = ln 2 / k <-> x = 0).
Proof.
  intro Hk. rewrite abs_g_error by exact Hk. pose proof (Rabs_pos x).
  destruct (ln1exp (2 * k * Rabs x)) as [[L U] Eq]; [nra|]. assert (0 < / k) by (apply Rinv_0_lt_compat; lra).
  replace (ln 2 / k) with (/ k * ln 2) by (field; lra). repeat split; try nra.
  - intro E. assert (Q : ln (1 + exp (- (2 * k * Rabs x))) = ln 2) by (apply Rmult_eq_reg_l with (/ k); lra).
    apply Eq in Q. assert (R : Rabs x = 0) by (apply Rmult_eq_reg_l with (2 * k); nra).
    destruct (Req_dec x 0) as [|N]; [assumption|]. apply Rabs_no_R0 in N. contradiction.
  - intros ->. rewrite Rabs_R0, Rmult_0_r, Ropp_0, exp_0. replace (1 + 1) with 2 by ring. ring.
Qed.
(** claim smooth-abs. That of the first is 2 ln 2 / k at 0 only. *)
Theorem abs_f_largest k x : 0 < k -> abs_f k x - Rabs x = 2 * ln 2 / k <-> x = 0.
Proof.
  intro Hk. destruct (abs_g_bounds (k / 2) x ltac:(lra)) as [_ Q]. rewrite abs_double in Q by lra.
  replace (2 * (k / 2)) with k in Q by field. replace (2 * ln 2 / k) with (ln 2 / (k / 2)) by (field; lra). exact Q.
Qed.
(** claim growth-principle. Squares added and undone give the norm, the same for every k: for (3, 4)
    it is 5 and never comes near 4. *)
Theorem squares_refute n k x : 0 < k ->
  / k * sqrt (Sum n (fun i => (k * x i) ^ 2)) = sqrt (Sum n (fun i => x i ^ 2)).
Proof.
  intro Hk. rewrite (Sum_ext n _ (fun i => (k * k) * x i ^ 2)) by (intros; ring).
  rewrite Sum_scal, sqrt_mult_alt, sqrt_square by nra. field. lra.
Qed.
(** claim growth-principle. The instance: the norm of (3, 4) is 5. *)
Theorem squares_instance : sqrt (Sum 2 (fun i => (if Nat.eqb i 0 then 3 else 4) ^ 2)) = 5.
Proof. simpl Sum. cbv iota. simpl. replace (0 + 3 * (3 * 1) + 4 * (4 * 1)) with (5 * 5) by ring. apply sqrt_square. lra. Qed.
(** claim smooth-max. The starting point is an identity if and only if x + y is not negative. *)
Theorem max_by_abs x y : (Rabs (x + y) + Rabs (x - y)) / 2 = Rmax x y <-> 0 <= x + y.
Proof.
  unfold Rabs, Rmax. destruct (Rcase_abs (x + y)), (Rcase_abs (x - y)), (Rle_dec x y); split; intros; lra.
Qed.
(** The form with four exponentials, and what is left of it when two are dropped. *)
Definition four_terms k x y := / (2 * k) * ln (exp (2 * k * x) + exp (- (2 * k * x)) + exp (2 * k * y) + exp (- (2 * k * y))).
Definition two_terms k x y := / (2 * k) * ln (exp (2 * k * x) + exp (2 * k * y)).
(** claim smooth-max. With the second smooth |x| in the starting point four exponentials appear. *)
Theorem four_appear k x y : 0 < k -> (abs_g k (x + y) + abs_g k (x - y)) / 2 = four_terms k x y.
Proof.
  intro Hk. unfold abs_g, four_terms. pose proof (fun t => exp_pos t) as P.
  replace (exp (2 * k * x) + exp (- (2 * k * x)) + exp (2 * k * y) + exp (- (2 * k * y)))
    with ((exp (k * (x + y)) + exp (- (k * (x + y)))) * (exp (k * (x - y)) + exp (- (k * (x - y))))).
  - rewrite ln_mult; [field; lra| |]; apply Rplus_lt_0_compat; apply P.
  - rewrite Rmult_plus_distr_l, !Rmult_plus_distr_r, <- !exp_plus.
    replace (k * (x + y) + k * (x - y)) with (2 * k * x) by ring. replace (- (k * (x + y)) + k * (x - y)) with (- (2 * k * y)) by ring.
    replace (k * (x + y) + - (k * (x - y))) with (2 * k * y) by ring. replace (- (k * (x + y)) + - (k * (x - y))) with (- (2 * k * x)) by ring.
    ring.
Qed.
(** claim smooth-max. For x and y that are not negative, dropping two costs at most ln 2 / (2k). *)
Theorem four_to_two k x y : 0 < k -> 0 <= x -> 0 <= y -> 0 < four_terms k x y - two_terms k x y <= ln 2 / (2 * k).
Proof.
  intros Hk Hx Hy. unfold four_terms, two_terms. pose proof (fun t => exp_pos t) as P.
  assert (S : forall t, 0 <= t -> exp (- (2 * k * t)) <= exp (2 * k * t)).
  { intros t [T|<-]; [apply Rlt_le, exp_increasing; nra|rewrite Rmult_0_r, Ropp_0; lra]. }
  pose proof (S x Hx). pose proof (S y Hy). pose proof (P (2 * k * x)). pose proof (P (2 * k * y)).
  pose proof (P (- (2 * k * x))). pose proof (P (- (2 * k * y))).
  set (a := exp (2 * k * x)) in *. set (b := exp (2 * k * y)) in *. set (c := exp (- (2 * k * x))) in *. set (d := exp (- (2 * k * y))) in *.
  assert (0 < / (2 * k)) by (apply Rinv_0_lt_compat; lra).
  assert (ln (a + b) < ln (a + c + b + d)) by (apply ln_increasing; lra).
  assert (ln (a + c + b + d) <= ln 2 + ln (a + b)) by (rewrite <- ln_mult by lra; apply ln_mono; lra).
  unfold Rdiv. split; nra.
Qed.
(** claim smooth-max-sign. The form with four fails for negative numbers: at (-4, -4) with k = 3 it is 8.1155
    too large. *)
Theorem four_fails : Rabs (four_terms 3 (-4) (-4) - Rmax (-4) (-4) - 8.1155) <= 5e-5.
Proof. rewrite Rmax_left by lra. unfold four_terms. interval with (i_prec 60). Qed.
