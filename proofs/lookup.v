From Coq Require Import Reals Lra Lia Psatz.
From Coquelicot Require Import Coquelicot.
From Book Require Import common certify smooth_max.
Open Scope R_scope.
Set Bullet Behavior "Strict Subproofs".

(** claim fuzzy-lookup. Every weight is positive. *)
Theorem weights_positive d m K q k : (0 < m)%nat -> 0 < weight d m K q k.
Proof. apply softmax_pos. Qed.
(** claim fuzzy-lookup. In a direction in which the values differ, the output lies strictly below their
    maximum; with -v, strictly above their minimum. *)
Theorem output_inside n z v M j : (forall i, (i < n)%nat -> v i <= M) -> (j < n)%nat -> v j < M ->
  Mean n (softmax n z) v < M.
Proof.
  intros B Hj L. destruct (softmax_law n z ltac:(lia)) as [_ E].
  apply Rlt_le_trans with (Sum n (fun i => softmax n z i * M)); [|rewrite Sum_scal_r, E; lra].
  pose proof (fun i => softmax_pos n z i ltac:(lia)) as P. apply (Sum_lt n _ _ j Hj).
  - intros i Hi. apply Rmult_le_compat_l; [apply Rlt_le, P|apply B, Hi].
  - apply Rmult_lt_compat_l; [apply P|exact L].
Qed.
(** claim similarity-weight. The query (1, 0) equals the key (1, 0) and gives (3, 1) and (3, -1) each
    exp(2) times its weight. *)
Theorem not_by_nearness :
  let q := fun i => match i with O => 1 | _ => 0 end in
  let K := fun k i => match k, i with O, O => 1 | O, _ => 0 | _, O => 3 | S O, _ => 1 | _, _ => -1 end in
  (forall i, K 0%nat i = q i) /\ weight 2 3 K q 1 = exp 2 * weight 2 3 K q 0 /\ weight 2 3 K q 2 = exp 2 * weight 2 3 K q 0.
Proof.
  intros q K. split; [intros [|]; reflexivity|]. unfold weight, softmax, dot, q, K. simpl.
  replace (0 + 3 * 1 + 1 * 0) with (2 + (0 + 1 * 1 + 0 * 0)) by ring. replace (0 + 3 * 1 + -1 * 0) with (2 + (0 + 1 * 1 + 0 * 0)) by ring.
  rewrite exp_plus. set (w := exp (0 + 1 * 1 + 0 * 0)). assert (0 < w) by apply exp_pos. pose proof (exp_pos 2).
  split; field; nra.
Qed.
(** claim copy-condition. A lead of at least g over n others leaves them at most n / (exp(g) + n). *)
Theorem copy_leak n z g : (forall i, (i < n)%nat -> g <= z n - z i) ->
  1 - softmax (S n) z n <= INR n / (exp g + INR n).
Proof.
  intro H. pose proof (exp_pos g) as Pg. pose proof (exp_pos (z n)) as Pz. pose proof (pos_INR n) as Pn.
  assert (R : Sum n (fun i => exp (z i)) <= INR n * (exp (z n) * exp (- g))).
  { rewrite <- Sum_const, <- exp_plus. apply Sum_le. intros i Hi. specialize (H i Hi).
    destruct (Req_dec (z i) (z n + - g)) as [->|N]; [lra|apply Rlt_le, exp_increasing; lra]. }
  assert (R0 : 0 <= Sum n (fun i => exp (z i))) by (apply Sum_nonneg; intros; apply Rlt_le, exp_pos).
  unfold softmax. simpl Sum. set (s := Sum n _) in *. rewrite exp_Ropp in R.
  replace (1 - exp (z n) / (s + exp (z n))) with (s / (s + exp (z n))) by (field; lra).
  apply Rmult_le_reg_r with ((s + exp (z n)) * (exp g + INR n)); [nra|].
  replace (s / (s + exp (z n)) * ((s + exp (z n)) * (exp g + INR n))) with (s * exp g + s * INR n) by (field; lra).
  replace (INR n / (exp g + INR n) * ((s + exp (z n)) * (exp g + INR n))) with (INR n * s + INR n * exp (z n)) by (field; lra).
  apply Rmult_le_compat_r with (r := exp g) in R; [|lra].
  replace (INR n * (exp (z n) * / exp g) * exp g) with (INR n * exp (z n)) in R by (field; lra). lra.
Qed.
(** claim copy-condition. Orthonormal keys and the query b k_a, that is a score b for a and 0 for n
    others, leave exactly n / (exp(b) + n). *)
Theorem copy_exact n b : 1 - softmax (S n) (fun i => if Nat.eqb i n then b else 0) n = INR n / (exp b + INR n).
Proof.
  unfold softmax. simpl Sum. rewrite Nat.eqb_refl.
  rewrite (Sum_ext n _ (fun _ => 1)).
  - rewrite Sum_const. pose proof (exp_pos b). pose proof (pos_INR n). field. lra.
  - intros i Hi. destruct (Nat.eqb_spec i n); [lia|]. apply exp_0.
Qed.
(** claim copy-condition. A key that is a mean of others never gets more than half. *)
Theorem key_inside d m K q a w : (a < m)%nat -> Law m w -> w a = 0 -> (forall i, (i < d)%nat -> K a i = Sum m (fun k => w k * K k i)) ->
  weight d m K q a <= / 2.
Proof.
  intros Ha [Pw Ew] Wa H. set (z := fun k => dot d (K k) q).
  assert (Z : z a = Sum m (fun k => w k * z k)).
  { unfold z, dot. rewrite (Sum_ext d (fun i => K a i * q i) (fun i => Sum m (fun k => w k * (K k i * q i)))).
    - rewrite Sum_swap. apply Sum_ext. intros. apply Sum_scal.
    - intros i Hi. rewrite H, <- Sum_scal_r by exact Hi. apply Sum_ext. intros. ring. }
  assert (X : exists k, (k < m)%nat /\ k <> a /\ z a <= z k).
  { destruct (Classical_Prop.classic (exists k, (k < m)%nat /\ k <> a /\ z a <= z k)) as [|N]; [assumption|exfalso].
    assert (L : forall k, (k < m)%nat -> k <> a -> z k < z a).
    { intros k Hk Nk. destruct (Rlt_le_dec (z k) (z a)); [assumption|]. exfalso. apply N. exists k. auto. }
    assert (Y : exists k, (k < m)%nat /\ 0 < w k).
    { destruct (Classical_Prop.classic (exists k, (k < m)%nat /\ 0 < w k)) as [|M]; [assumption|exfalso].
      assert (Sum m w = 0); [|lra]. apply Sum_0. intros k Hk. destruct (Pw k Hk); [exfalso; apply M; exists k; auto|auto]. }
    destruct Y as [k [Hk Wk]]. assert (k <> a) by (intro; subst; lra).
    assert (Sum m (fun k => w k * z k) < Sum m (fun k => w k * z a)).
    { apply (Sum_lt m _ _ k Hk); [|apply Rmult_lt_compat_l; [exact Wk|apply L; assumption]].
      intros i Hi. destruct (Nat.eq_dec i a) as [->|Ni]; [lra|]. apply Rmult_le_compat_l; [apply Pw, Hi|apply Rlt_le, L; assumption]. }
    rewrite Sum_scal_r, Ew in H1. lra. }
  destruct X as [k [Hk [Nk Lk]]]. unfold weight. fold z. pose proof (softmax_law m z ltac:(lia)) as [_ E].
  assert (W : softmax m z a <= softmax m z k).
  { unfold softmax. apply Rmult_le_compat_r; [apply Rlt_le, Rinv_0_lt_compat, Z_pos; lia|].
    destruct Lk as [Lk|Lk]; [apply Rlt_le, exp_increasing, Lk|rewrite Lk; lra]. }
  assert (T : softmax m z a + softmax m z k <= 1).
  { rewrite <- E, <- (Sum_delta m a (softmax m z) Ha), <- (Sum_delta m k (softmax m z) Hk), <- Sum_plus at 1.
    apply Sum_le. intros i _. pose proof (softmax_pos m z i ltac:(lia)).
    destruct (Nat.eqb_spec i a), (Nat.eqb_spec i k); subst; try contradiction; lra. }
  lra.
Qed.
(** The sum of a_i a_i' / (a_i' a_i), applied to v: its k-th entry. *)
Definition proj r d (a : nat -> nat -> R) v k := Sum r (fun i => dot d (a i) v / dot d (a i) (a i) * a i k).
(** claim subspace-projector. If the a_i are orthogonal to each other, none is 0, and they are orthogonal
    to all b_j, the matrix maps v_a + v_b to v_a. Of the b_j among themselves nothing is asked. *)
Theorem projector r s d a b al be k :
  (forall i j, (i < r)%nat -> (j < r)%nat -> i <> j -> dot d (a i) (a j) = 0) ->
  (forall i, (i < r)%nat -> dot d (a i) (a i) <> 0) ->
  (forall i j, (i < r)%nat -> (j < s)%nat -> dot d (a i) (b j) = 0) ->
  let va := fun l => Sum r (fun i => al i * a i l) in let vb := fun l => Sum s (fun j => be j * b j l) in
  proj r d a (fun l => va l + vb l) k = va k.
Proof.
  intros Oa Na Ob va vb. unfold proj, va at 2. apply Sum_ext. intros i Hi. f_equal.
  apply Rmult_eq_reg_r with (dot d (a i) (a i)); [|apply Na, Hi].
  unfold Rdiv. rewrite Rmult_assoc, Rinv_l, Rmult_1_r by (apply Na, Hi).
  unfold dot at 1, va, vb.
  rewrite (Sum_ext d _ (fun l => Sum r (fun j => al j * (a i l * a j l)) + Sum s (fun j => be j * (a i l * b j l)))).
  - rewrite Sum_plus, (Sum_swap d r), (Sum_swap d s).
    rewrite (Sum_0 s); [|intros j Hj; rewrite Sum_scal; fold (dot d (a i) (b j)); rewrite Ob by assumption; ring].
    rewrite (Sum_ext r _ (fun j => if Nat.eqb j i then al j * dot d (a j) (a j) else 0)).
    + rewrite (Sum_delta r i (fun j => al j * dot d (a j) (a j)) Hi). ring.
    + intros j Hj. rewrite Sum_scal. fold (dot d (a i) (a j)). destruct (Nat.eqb_spec j i); [subst; reflexivity|].
      rewrite Oa by auto. ring.
  - intros l _. rewrite Rmult_plus_distr_l, <- !Sum_scal. f_equal; apply Sum_ext; intros; ring.
Qed.
(** claim subspace-projector. Without orthogonal a_i the formula fails: a_0 = (1, 0), a_1 = (1, 1), v = a_0. *)
Theorem projector_needs_orthogonal :
  let a := fun j i => match j, i with O, S _ => 0 | _, _ => 1 end in proj 2 2 a (a 0%nat) 0 <> a 0%nat 0%nat.
Proof. intro a. unfold proj, dot, a. simpl. lra. Qed.
(** claim subspace-projector. In general A X A', with X the inverse of A'A, maps v_a + v_b to v_a. *)
Theorem projector_general r s d a (X : nat -> nat -> R) b al be k :
  (forall i l, (i < r)%nat -> (l < r)%nat -> Sum r (fun j => X i j * dot d (a j) (a l)) = if Nat.eqb l i then 1 else 0) ->
  (forall i j, (i < r)%nat -> (j < s)%nat -> dot d (a i) (b j) = 0) ->
  let v := fun l => Sum r (fun i => al i * a i l) + Sum s (fun j => be j * b j l) in
  Sum r (fun i => Sum r (fun j => a i k * X i j * dot d (a j) v)) = Sum r (fun i => al i * a i k).
Proof.
  intros Inv Ob v.
  assert (D : forall j, (j < r)%nat -> dot d (a j) v = Sum r (fun l => al l * dot d (a j) (a l))).
  { intros j Hj. unfold v. rewrite (dot_add d (a j) (fun l => Sum r (fun i => al i * a i l))).
    replace (dot d (a j) (fun l => Sum s (fun j => be j * b j l))) with 0.
    - rewrite Rplus_0_r. unfold dot. rewrite (Sum_ext d _ (fun i => Sum r (fun l => al l * (a j i * a l i)))).
      + rewrite Sum_swap. apply Sum_ext. intros. apply Sum_scal.
      + intros. rewrite <- Sum_scal. apply Sum_ext. intros. ring.
    - unfold dot. rewrite (Sum_ext d _ (fun i => Sum s (fun l => be l * (a j i * b l i)))).
      + rewrite Sum_swap. symmetry. apply Sum_0. intros l Hl. rewrite Sum_scal. fold (dot d (a j) (b l)). rewrite Ob by assumption. ring.
      + intros. rewrite <- Sum_scal. apply Sum_ext. intros. ring. }
  apply Sum_ext. intros i Hi.
  rewrite (Sum_ext r _ (fun j => Sum r (fun l => a i k * al l * (X i j * dot d (a j) (a l))))).
  - rewrite Sum_swap. rewrite (Sum_ext r _ (fun l => if Nat.eqb l i then (fun l => a i k * al l) l else 0)).
    + rewrite Sum_delta by exact Hi. ring.
    + intros l Hl. rewrite Sum_scal, Inv by assumption. destruct (Nat.eqb l i); ring.
  - intros j Hj. rewrite D, <- Sum_scal by exact Hj. apply Sum_ext. intros. ring.
Qed.
(** claim average-query. Two keys have equal weights if and only if the query is orthogonal to their difference. *)
Theorem equal_weights d m K q a b : (0 < m)%nat ->
  weight d m K q a = weight d m K q b <-> dot d (fun i => K a i - K b i) q = 0.
Proof.
  intro Hm. rewrite dot_sub. unfold weight, softmax. set (Z := Sum m _).
  assert (P : 0 < Z) by (apply Z_pos, Hm). split; intro E.
  - apply Rmult_eq_reg_r in E; [|apply Rinv_neq_0_compat; lra]. apply exp_inv in E. lra.
  - replace (dot d (K a) q) with (dot d (K b) q) by lra. reflexivity.
Qed.
(** claim average-query. With two keys each then gets exactly half. *)
Theorem two_keys_average d K q : dot d (fun i => K 0%nat i - K 1%nat i) q = 0 -> weight d 2 K q 0 = / 2.
Proof.
  rewrite dot_sub. intro E. unfold weight, softmax. simpl Sum. replace (dot d (K 0%nat) q) with (dot d (K 1%nat) q) by lra.
  pose proof (exp_pos (dot d (K 1%nat) q)). field. lra.
Qed.
(** claim average-query. Orthonormal keys and the query b (k_a + k_b), that is a score b for both and 0 for n others,
    leave exactly n / (2 exp(b) + n). *)
Theorem average_exact n b : let y := softmax (S (S n)) (fun i => if Nat.ltb i n then 0 else b) in
  1 - y n - y (S n) = INR n / (2 * exp b + INR n).
Proof.
  unfold softmax. simpl Sum. rewrite (Sum_ext n _ (fun _ => 1)).
  - destruct (Nat.ltb_spec n n), (Nat.ltb_spec (S n) n); try lia.
    rewrite Sum_const. pose proof (exp_pos b). pose proof (pos_INR n). field. lra.
  - intros i Hi. destruct (Nat.ltb_spec i n); [apply exp_0|lia].
Qed.
(** claim average-query. Half of k_a + k_b as a query gives each of the two 0.146 among ten orthonormal keys. *)
Theorem half_key : Rabs (softmax 10 (fun i => if Nat.ltb i 2 then / 2 else 0) 0 - 0.146) <= 0.0005.
Proof. unfold softmax. simpl. interval with (i_prec 40). Qed.
(** claim single-head-fragile. The share of a in a pair is the logistic function of its lead; here
    q = beta (mu_a + mu_b) and k_a = gamma mu_a, with the scores beta gamma and beta. *)
Theorem share n z a b beta gamma : (0 < n)%nat -> z a = beta * gamma -> z b = beta ->
  softmax n z a / (softmax n z a + softmax n z b) = 1 / (1 + exp (- (beta * (gamma - 1)))).
Proof.
  intros Hn Ea Eb. pose proof (Z_pos n z Hn). unfold softmax. rewrite Ea, Eb.
  replace (- (beta * (gamma - 1))) with (beta + - (beta * gamma)) by ring. rewrite exp_plus, exp_Ropp.
  pose proof (exp_pos beta). pose proof (exp_pos (beta * gamma)). field. repeat split; nra.
Qed.
