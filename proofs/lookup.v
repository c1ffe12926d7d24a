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
(** claim fuzzy-lookup. If the output were the value v_a, a the last of n + 1, this would be a mean of the
    others: so a value outside their hull is not reached. *)
Theorem outside_not_reached n z (v : nat -> nat -> R) : (0 < n)%nat ->
  (forall l, Mean (S n) (softmax (S n) z) (fun i => v i l) = v n l) -> exists p, Law n p /\ forall l, v n l = Mean n p (fun i => v i l).
Proof.
  intros Hn H. set (y := softmax (S n) z) in *. destruct (softmax_law (S n) z ltac:(lia)) as [_ E]. fold y in E. simpl in E.
  assert (R : 0 < Sum n y) by (apply Sum_pos; [exact Hn|]; intros; apply softmax_pos; lia).
  exists (fun i => / Sum n y * y i). split; [split|].
  - intros i _. apply Rmult_le_pos; [apply Rlt_le, Rinv_0_lt_compat, R|apply Rlt_le, softmax_pos; lia].
  - rewrite Sum_scal. field. lra.
  - intro l. specialize (H l). unfold Mean in H |- *. simpl in H.
    rewrite (Sum_ext n (fun i => / Sum n y * y i * v i l) (fun i => / Sum n y * (y i * v i l))) by (intros; ring).
    rewrite Sum_scal. set (s := Sum n (fun i => y i * v i l)) in *. replace (y n) with (1 - Sum n y) in H by lra.
    replace s with (Sum n y * v n l) by lra. field. lra.
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
(** claim similarity-weight. Of two keys of one length the nearer one to the query has the larger weight. *)
Theorem nearer_is_larger d m K q a b : (0 < m)%nat -> dot d (K a) (K a) = dot d (K b) (K b) ->
  let far k := dot d (fun i => K k i - q i) (fun i => K k i - q i) in far a < far b <-> weight d m K q b < weight d m K q a.
Proof.
  intros Hm E far. assert (F : forall k, far k = dot d (K k) (K k) - 2 * dot d (K k) q + dot d q q).
  { intro k. unfold far, dot. rewrite <- Sum_scal, <- Sum_minus, <- Sum_plus. apply Sum_ext. intros. ring. }
  rewrite !F, E. unfold weight, softmax. pose proof (Z_pos m (fun k => dot d (K k) q) Hm) as Z.
  assert (Q : dot d (K b) q < dot d (K a) q <-> exp (dot d (K b) q) < exp (dot d (K a) q)) by (split; [apply exp_increasing|apply exp_lt_inv]).
  split; intro H.
  - apply Rmult_lt_compat_r; [apply Rinv_0_lt_compat, Z|]. apply Q. lra.
  - apply Rmult_lt_reg_r in H; [|apply Rinv_0_lt_compat, Z]. apply Q in H. lra.
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
Lemma leak_real m N s E G : 0 < m -> 0 <= N -> 0 <= s -> 0 < E -> 0 < G ->
  (s <= N * (E / G) -> s / (s + m * E) <= N / (m * G + N)) /\ (s / (s + m * E) = N / (m * G + N) <-> s = N * (E / G)).
Proof.
  intros Hm HN Hs HE HG. assert (P : 0 < s + m * E) by nra. assert (Q : 0 < m * G + N) by nra.
  assert (D : N / (m * G + N) - s / (s + m * E) = m * G * (N * (E / G) - s) / ((s + m * E) * (m * G + N))) by (field; lra).
  assert (I : 0 < / ((s + m * E) * (m * G + N))) by (apply Rinv_0_lt_compat, Rmult_lt_0_compat; assumption).
  assert (0 < m * G) by nra. unfold Rdiv at 3 in D. split; [|split]; intro H0.
  - assert (0 <= m * G * (N * (E / G) - s) * / ((s + m * E) * (m * G + N))); [|lra].
    apply Rmult_le_pos; [apply Rmult_le_pos; lra|lra].
  - rewrite H0, Rminus_eq_0 in D. symmetry in D. apply Rmult_integral in D. destruct D as [D|D]; [|lra].
    apply Rmult_integral in D. destruct D; lra.
  - rewrite <- H0, Rminus_eq_0, Rmult_0_r, Rmult_0_l in D. lra.
Qed.
Lemma rest_below n z e g : (forall i, (i < n)%nat -> g <= e - z i) ->
  Sum n (fun i => exp (z i)) <= INR n * (exp e / exp g) /\
  (Sum n (fun i => exp (z i)) = INR n * (exp e / exp g) <-> forall i, (i < n)%nat -> e - z i = g).
Proof.
  intro H. replace (exp e / exp g) with (exp (e - g)) by (unfold Rminus, Rdiv; rewrite exp_plus, exp_Ropp; reflexivity).
  rewrite <- Sum_const.
  assert (L : forall i, (i < n)%nat -> exp (z i) <= exp (e - g)).
  { intros i Hi. specialize (H i Hi). destruct (Req_dec (z i) (e - g)) as [->|]; [lra|apply Rlt_le, exp_increasing; lra]. }
  split; [apply Sum_le, L|split; intro Q].
  - intros i Hi. assert (Z : exp (e - g) - exp (z i) = 0).
    { apply (Sum_0_inv n (fun i => exp (e - g) - exp (z i))); [|rewrite Sum_minus; lra|exact Hi].
      intros j Hj. specialize (L j Hj). lra. }
    assert (z i = e - g) by (apply exp_inv; lra). lra.
  - apply Sum_ext. intros i Hi. f_equal. specialize (Q i Hi). lra.
Qed.
(** claim copy-condition. With equality if and only if all these leads are g. *)
Theorem copy_leak_equality n z g : (forall i, (i < n)%nat -> g <= z n - z i) ->
  1 - softmax (S n) z n = INR n / (exp g + INR n) <-> forall i, (i < n)%nat -> z n - z i = g.
Proof.
  intro H. destruct (rest_below n z (z n) g H) as [_ <-]. unfold softmax. simpl Sum. set (s := Sum n _).
  assert (0 <= s) by (apply Sum_nonneg; intros; apply Rlt_le, exp_pos).
  destruct (leak_real 1 (INR n) s (exp (z n)) (exp g) Rlt_0_1 (pos_INR n) H0 (exp_pos _) (exp_pos _)) as [_ Q].
  rewrite !Rmult_1_l in Q. rewrite <- Q. pose proof (exp_pos (z n)).
  replace (1 - exp (z n) / (s + exp (z n))) with (s / (s + exp (z n))) by (field; lra). reflexivity.
Qed.
(** claim copy-condition. A query with the length g / rho: where x is a point with (k_a - x).(x - k_i) >= 0 for
    the others k_i, as the nearest point of their hull is, and rho its distance from k_a, the query g (k_a - x)
    / rho^2 leads by g. *)
Theorem pick_reaches d n (K : nat -> nat -> R) ka x g : let w := fun l => ka l - x l in 0 < dot d w w -> 0 <= g ->
  (forall i, (i < n)%nat -> 0 <= dot d w (fun l => x l - K i l)) ->
  let q := fun l => g / dot d w w * w l in
  (forall i, (i < n)%nat -> g <= dot d (fun l => ka l - K i l) q) /\ sqrt (dot d q q) = g / sqrt (dot d w w).
Proof.
  intros w P Hg H q. unfold q. split.
  - intros i Hi. rewrite dot_scal_r. specialize (H i Hi).
    replace (dot d (fun l => ka l - K i l) w) with (dot d w w + dot d w (fun l => x l - K i l)).
    + replace (g / dot d w w * (dot d w w + dot d w (fun l => x l - K i l))) with (g + g / dot d w w * dot d w (fun l => x l - K i l)) by (field; lra).
      assert (0 <= g / dot d w w) by (apply Rmult_le_pos; [exact Hg|apply Rlt_le, Rinv_0_lt_compat, P]). nra.
    + unfold dot. rewrite <- Sum_plus. apply Sum_ext. intros l _. unfold w. ring.
  - rewrite dot_scal_r, dot_scal_l. set (r := dot d w w) in *. assert (S : 0 < sqrt r) by (apply sqrt_lt_R0, P).
    assert (E : sqrt r * sqrt r = r) by (apply sqrt_sqrt; lra).
    replace (g / r * (g / r * r)) with ((g / sqrt r) * (g / sqrt r)).
    + apply sqrt_square, Rmult_le_pos; [exact Hg|apply Rlt_le, Rinv_0_lt_compat, S].
    + rewrite <- E at 3 4 5. field. lra.
Qed.
(** claim copy-condition. No shorter query does: leads of g over the others need a query of at least g / |k_a -
    x| for every mean x of the others. *)
Theorem pick_shortest d n (K : nat -> nat -> R) ka p q g : Law n p -> 0 <= g ->
  (forall i, (i < n)%nat -> g <= dot d (fun l => ka l - K i l) q) ->
  let w := fun l => ka l - Sum n (fun i => p i * K i l) in g <= sqrt (dot d w w) * sqrt (dot d q q).
Proof.
  intros [P E] Hg H w.
  assert (D : dot d w q = Sum n (fun i => p i * dot d (fun l => ka l - K i l) q)).
  { unfold dot. rewrite (Sum_ext d (fun l => w l * q l) (fun l => Sum n (fun i => p i * ((ka l - K i l) * q l)))).
    - rewrite Sum_swap. apply Sum_ext. intros. apply Sum_scal.
    - intros l _. unfold w. rewrite (Sum_ext n (fun i => p i * ((ka l - K i l) * q l)) (fun i => p i * (ka l * q l) - (p i * K i l) * q l)) by (intros; ring).
      rewrite Sum_minus, !Sum_scal_r, E. ring. }
  assert (L : g <= dot d w q).
  { rewrite D. apply Rle_trans with (Sum n (fun i => p i * g)); [rewrite Sum_scal_r, E; lra|].
    apply Sum_le. intros i Hi. apply Rmult_le_compat_l; [apply P, Hi|apply H, Hi]. }
  rewrite <- sqrt_mult by apply dot_nonneg. rewrite <- (sqrt_pow2 g Hg). apply sqrt_le_1_alt.
  pose proof (cauchy_schwarz d w q). nra.
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
(** claim subspace-projector. The oblique one, A X A'R with R b_j = 0 (below R0) and X the inverse of A'RA, maps
    v_a + v_b to v_a. For spans that only meet in 0, I minus the projector onto the b_j is such an R. *)
Theorem projector_oblique r s d a b (X R : nat -> nat -> Rdefinitions.R) al be k :
  let Rv := fun v l => Sum d (fun m => R l m * v m) in
  (forall j l, (j < s)%nat -> (l < d)%nat -> Rv (b j) l = 0) ->
  (forall i m, (i < r)%nat -> (m < r)%nat -> Sum r (fun j => X i j * dot d (a j) (Rv (a m))) = if Nat.eqb m i then 1 else 0) ->
  let v := fun l => Sum r (fun i => al i * a i l) + Sum s (fun j => be j * b j l) in
  Sum r (fun i => a i k * Sum r (fun j => X i j * dot d (a j) (Rv v))) = Sum r (fun i => al i * a i k).
Proof.
  intros Rv Rb Inv v.
  assert (V : forall l, (l < d)%nat -> Rv v l = Sum r (fun m => al m * Rv (a m) l)).
  { intros l Hl. unfold Rv, v.
    rewrite (Sum_ext d _ (fun m => Sum r (fun i => al i * (R l m * a i m)) + Sum s (fun j => be j * (R l m * b j m)))).
    - rewrite Sum_plus, !(Sum_swap d). rewrite (Sum_0 s).
      + rewrite Rplus_0_r. apply Sum_ext. intros. apply Sum_scal.
      + intros j Hj. rewrite Sum_scal. change (be j * Rv (b j) l = 0). rewrite Rb by assumption. ring.
    - intros m _. rewrite Rmult_plus_distr_l, <- !Sum_scal. f_equal; apply Sum_ext; intros; ring. }
  apply Sum_ext. intros i Hi. rewrite (Rmult_comm (al i)). f_equal.
  transitivity (Sum r (fun m => if Nat.eqb m i then al m else 0)); [|apply (Sum_delta r i al Hi)].
  rewrite (Sum_ext r _ (fun j => Sum r (fun m => al m * (X i j * dot d (a j) (Rv (a m)))))).
  - rewrite Sum_swap. apply Sum_ext. intros m Hm. rewrite Sum_scal, Inv by assumption. destruct (Nat.eqb m i); ring.
  - intros j Hj. rewrite (Sum_ext r _ (fun m => X i j * (al m * dot d (a j) (Rv (a m))))) by (intros; ring). rewrite Sum_scal. f_equal.
    unfold dot. rewrite (Sum_ext d _ (fun l => Sum r (fun m => al m * (a j l * Rv (a m) l)))).
    + rewrite Sum_swap. apply Sum_ext. intros. apply Sum_scal.
    + intros l Hl. rewrite V, <- Sum_scal by exact Hl. apply Sum_ext. intros. ring.
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
(** claim average-query. Two tied keys that lead n others by at least g leave them at most n / (2 exp(g) + n),
    with equality if and only if all these leads are g. *)
Theorem average_leak n z g : z n = z (S n) -> (forall i, (i < n)%nat -> g <= z n - z i) ->
  let rest := 1 - softmax (S (S n)) z n - softmax (S (S n)) z (S n) in
  rest <= INR n / (2 * exp g + INR n) /\
  (rest = INR n / (2 * exp g + INR n) <-> forall i, (i < n)%nat -> z n - z i = g).
Proof.
  intros T H rest. destruct (rest_below n z (z n) g H) as [L Q]. rewrite <- Q. set (s := Sum n _) in *.
  assert (0 <= s) by (apply Sum_nonneg; intros; apply Rlt_le, exp_pos). pose proof (exp_pos (z n)).
  replace rest with (s / (s + 2 * exp (z n))).
  - destruct (leak_real 2 (INR n) s (exp (z n)) (exp g) Rlt_0_2 (pos_INR n) H0 (exp_pos _) (exp_pos _)) as [I J].
    split; [exact (I L)|exact J].
  - unfold rest, softmax. simpl Sum. fold s. rewrite <- T. field. lra.
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
